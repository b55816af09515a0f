# What stands between bunny's specs and a broker with nothing but its defaults.

require "stringio" # the specs count on another gem for it

# The specs log in as a user, and into virtual hosts, that their authors make with rabbitmqctl: they become the default
# ones. Specs about that user's name are in reasons.txt.
module DefaultAccount
  def initialize(first = ENV["RABBITMQ_URL"], second = Hash.new)
    [first, second].grep(Hash).each do |options|
      password = %i[pass password].find { |key| %w[bunny_password reader_password].include?(options[key]) }
      user = %i[user username].find { |key| options.key?(key) }
      if password && user
        options[password] = "guest"
        options[user] = "guest"
      end
      options[:vhost] = "/" if options[:vhost].to_s.start_with?("bunny_")
    end
    super
  end
end

require "bunny"
Bunny::Session.prepend(DefaultAccount)

# What slow.txt names.
if ENV["LEVERET_SUITES_SLOW"].to_s.empty?
  RSpec.configure do |config|
    config.filter_run_excluding full_description: /\(take \d+\)|heartbeat interval|worker pool shutdown timeout/
  end
end
