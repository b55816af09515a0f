# frozen_string_literal: true

require "socket"

# A TCP relay to the broker that can cut all its connections, as a failing network would.
class Proxy
  attr_reader :port

  def initialize(host, port)
    @target = [host, port]
    @server = TCPServer.new("127.0.0.1", 0)
    @port = @server.addr[1]
    @sockets = []
    @lock = Mutex.new
    @acceptor = Thread.new { accept }
  end

  # Resets every connection; new ones are accepted at once.
  def cut
    @lock.synchronize { @sockets.slice!(0..) }.each do |socket|
      socket.setsockopt(Socket::SOL_SOCKET, Socket::SO_LINGER, [1, 0].pack("ii"))
      socket.close
    rescue IOError
      nil # its relay has closed it already
    end
  end

  def stop
    @acceptor.kill
    @server.close
    cut
  end

  private

  def accept
    loop do
      client = @server.accept
      broker = reach_broker(client) or next
      @lock.synchronize { @sockets.push(client, broker) }
      [[client, broker], [broker, client]].each { |from, to| Thread.new { relay(from, to) } }
    end
  end

  # A client whose broker is away finds its connection closed.
  def reach_broker(client)
    TCPSocket.new(*@target)
  rescue SystemCallError
    client.close
    nil
  end

  def relay(from, to)
    loop { to.write(from.readpartial(65_536)) }
  rescue IOError, SystemCallError
    [from, to].each { |socket| socket.close unless socket.closed? }
  end
end
