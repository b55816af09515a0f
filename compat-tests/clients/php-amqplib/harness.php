<?php
/**
 * What the PHP clients' checks share: where the broker is, unique names, expectations, and the
 * runner that prints one line a check. Knows no AMQP library.
 */

declare(strict_types=1);

/** An expectation that did not hold. */
final class CheckFailed extends RuntimeException
{
}

/** The broker under test, as the environment names it. */
final class Broker
{
    public readonly string $host;
    public readonly int $port;
    public readonly string $user;
    public readonly string $password;
    public readonly string $vhost;

    public function __construct()
    {
        $url = parse_url(getenv('LEVERET_URL') ?: 'amqp://guest:guest@127.0.0.1:5672/%2f');
        $this->host = getenv('LEVERET_HOST') ?: $url['host'] ?? '127.0.0.1';
        $this->port = (int) (getenv('LEVERET_PORT') ?: $url['port'] ?? 5672);
        $this->user = getenv('LEVERET_USER') ?: rawurldecode($url['user'] ?? 'guest');
        $this->password = getenv('LEVERET_PASS') ?: rawurldecode($url['pass'] ?? 'guest');
        $this->vhost = getenv('LEVERET_VHOST') ?: rawurldecode(substr($url['path'] ?? '/%2f', 1));
    }
}

/** The named checks of one client, in the order they were added. */
final class Checks
{
    /** @var array<string, callable> */
    private array $checks = [];

    public function add(string $name, callable $body): void
    {
        $this->checks[$name] = $body;
    }

    /**
     * Runs the checks named by $only (all when empty) and prints a line for each.
     *
     * @param string[] $only
     * @return int the number of failed checks
     */
    public function run(array $only = []): int
    {
        $failed = 0;
        foreach ($this->checks as $name => $body) {
            if ($only !== [] && !in_array($name, $only, true)) {
                continue;
            }
            try {
                $body();
                echo "ok $name\n";
            } catch (Throwable $problem) {
                $failed++;
                $kind = $problem instanceof CheckFailed ? '' : get_class($problem) . ': ';
                $text = preg_replace('/\s+/', ' ', $problem->getMessage());
                $at = basename($problem->getFile()) . ':' . $problem->getLine();
                echo "not ok $name: $kind$text ($at)\n";
            }
        }
        return $failed;
    }
}

/** A name nobody else uses: runs may share a broker. */
function unique(string $suffix): string
{
    static $run = null;
    $run ??= bin2hex(random_bytes(4));
    return "compat.php.$run.$suffix";
}

function expect(bool $holds, string $what): void
{
    if (!$holds) {
        throw new CheckFailed($what);
    }
}

function expect_same(mixed $expected, mixed $actual, string $what): void
{
    if ($expected !== $actual) {
        $show = fn (mixed $value): string
            => substr(json_encode($value, JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR), 0, 300);
        throw new CheckFailed("$what: expected {$show($expected)}, got {$show($actual)}");
    }
}

/**
 * Runs $body, which must throw a $class.
 *
 * @template T of Throwable
 * @param class-string<T> $class
 * @return T
 */
function expect_throws(string $class, callable $body): Throwable
{
    try {
        $body();
    } catch (Throwable $thrown) {
        if ($thrown instanceof $class) {
            return $thrown;
        }
        throw $thrown;
    }
    throw new CheckFailed("expected a $class, nothing was thrown");
}

/** Body number $n of a numbered run of messages: it can be checked without being remembered. */
function numbered_body(int $n): string
{
    return json_encode(['n' => $n, 'digest' => md5("message $n")]);
}
