<?php

declare(strict_types=1);

namespace Shop;

/** A connection to MariaDB that is opened when needed, also after it broke. */
final class Database
{
    /** Attempts at a transaction that others keep colliding with. */
    private const ATTEMPTS_MAX = 10;

    /** SQLSTATE of a deadlock, where the database rolled back and asks to try again. */
    private const DEADLOCK = '40001';

    private ?\PDO $pdo = null;

    public function __construct(private readonly Settings $settings)
    {
    }

    public function pdo(): \PDO
    {
        return $this->pdo ??= new \PDO(
            $this->settings->databaseDsn,
            $this->settings->databaseUser,
            $this->settings->databasePassword,
            [\PDO::ATTR_ERRMODE => \PDO::ERRMODE_EXCEPTION, \PDO::ATTR_DEFAULT_FETCH_MODE => \PDO::FETCH_ASSOC],
        );
    }

    /**
     * Runs $work in a transaction and returns its result once that is on disk.
     *
     * @template T
     * @param callable(\PDO): T $work may run several times
     * @return T
     * @throws \PDOException when nothing was changed, or nobody knows: run it again
     */
    public function transaction(callable $work): mixed
    {
        for ($attempt = 1;; $attempt++) {
            try {
                $pdo = $this->pdo();
                $pdo->beginTransaction();
                $result = $work($pdo);
                $pdo->commit();
                return $result;
            } catch (\PDOException $problem) {
                // A new connection for the next attempt: with this one the transaction ends too.
                $this->pdo = null;
                if ($problem->getCode() !== self::DEADLOCK || $attempt === self::ATTEMPTS_MAX) {
                    throw $problem;
                }
            }
        }
    }
}
