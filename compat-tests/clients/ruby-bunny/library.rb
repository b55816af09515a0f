# frozen_string_literal: true

# bunny, unmodified, and the few steps that many checks begin with.

require "bunny"
require "logger"

QUIET = Logger.new(IO::NULL)

# bunny raises a reader thread's errors in this thread instead of in whatever a check does just then.
ERROR_SINK = Thread.new { Thread.stop }
ERROR_SINK.report_on_exception = false

def connect(**options)
  connection = Bunny.new(
    Broker.options.merge(
      continuation_timeout: PATIENCE * 1000, connection_name: "compat bunny", logger: QUIET,
      session_error_handler: ERROR_SINK, **options
    )
  )
  connection.start
end

# Opens a connection and a channel for the block, and closes both whatever happens.
def with_channel
  connection = connect
  yield connection.create_channel, connection
ensure
  connection&.close if connection&.open?
end

# A server-named exclusive queue: it goes away with the connection.
def temporary_queue(channel)
  channel.queue("", exclusive: true, auto_delete: true)
end

# The bodies that wait in +queue+, sorted; takes them out.
def drain(queue)
  bodies = []
  loop do
    _, _, body = queue.pop
    break if body.nil?

    bodies << body
  end
  bodies.sort
end
