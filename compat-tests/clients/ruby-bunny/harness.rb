# frozen_string_literal: true

# Where the broker is, expectations, and the runner that prints one line a check. Knows no AMQP
# library.

require "securerandom"
require "timeout"
require "uri"

# An expectation that did not hold.
class CheckFailed < StandardError; end

# Seconds after which a check, or any answer of the broker, counts as missing.
CHECK_SECONDS = 120
PATIENCE = 30

# The broker under test, as the environment names it, in bunny's option names.
module Broker
  def self.options
    url = URI.parse(ENV.fetch("LEVERET_URL", "amqp://guest:guest@127.0.0.1:5672/%2f"))
    {
      host: ENV["LEVERET_HOST"] || url.host,
      port: (ENV["LEVERET_PORT"] || url.port || 5672).to_i,
      user: ENV["LEVERET_USER"] || URI.decode_www_form_component(url.user || "guest"),
      password: ENV["LEVERET_PASS"] || URI.decode_www_form_component(url.password || "guest"),
      vhost: ENV["LEVERET_VHOST"] || URI.decode_www_form_component(url.path.delete_prefix("/")),
    }
  end
end

# The named checks, in the order they were added.
module Checks
  @checks = {}

  def self.add(name, &body)
    @checks[name] = body
  end

  # Runs the checks named by +only+ (all when empty), prints a line each, returns how many failed.
  def self.run(only = [])
    @checks.count do |name, body|
      next if !only.empty? && !only.include?(name)

      begin
        Timeout.timeout(CHECK_SECONDS, &body)
        puts "ok #{name}"
        false
      rescue StandardError => e
        kind = e.is_a?(CheckFailed) ? "" : "#{e.class}: "
        at = e.backtrace.find { |line| line.include?(__dir__) && !line.include?("harness.rb") }
        puts "not ok #{name}: #{kind}#{e.message.gsub(/\s+/, ' ')} (#{File.basename(at.to_s)})"
        true
      end
    end
  end
end

RUN = SecureRandom.hex(4)

# A name nobody else uses: runs may share a broker.
def unique(suffix)
  "compat.ruby.#{RUN}.#{suffix}"
end

def expect(holds, what)
  raise CheckFailed, what unless holds
end

def expect_same(expected, actual, what)
  return if expected == actual

  raise CheckFailed, "#{what}: expected #{expected.inspect[0, 300]}, got #{actual.inspect[0, 300]}"
end

# Runs the block, which must raise a +kind+; returns what was raised.
def expect_raises(kind)
  yield
rescue kind => e
  e
else
  raise CheckFailed, "expected a #{kind}, nothing was raised"
end

# Takes +count+ elements out of +inbox+, a thread-safe queue that callbacks fill.
def take(inbox, count)
  Timeout.timeout(PATIENCE) { Array.new(count) { inbox.pop } }
rescue Timeout::Error
  raise CheckFailed, "fewer than #{count} arrived within #{PATIENCE} s"
end

# Waits until the block gives something true.
def wait_until(what)
  limit = Process.clock_gettime(Process::CLOCK_MONOTONIC) + PATIENCE
  until (value = yield)
    raise CheckFailed, "not within #{PATIENCE} s: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > limit

    sleep 0.01 # the pause between two looks
  end
  value
end
