# An RSpec formatter: one line per example into $SUITE_LINES, as ../run reads them.
class Lines
  RSpec::Core::Formatters.register self, :example_passed, :example_failed, :example_pending, :close

  REASON_CHARACTERS_MAX = 300

  def initialize(_output)
    @lines = {}
  end

  def example_passed(notification)
    add(notification.example) { |name| "ok #{name}" }
  end

  def example_failed(notification)
    add(notification.example) { |name| "not ok #{name}: #{one_line(notification.exception.message)}" }
  end

  def example_pending(notification)
    add(notification.example) { |name| "skip #{name}: #{one_line(notification.example.execution_result.pending_message)}" }
  end

  def close(_notification)
    File.write(ENV.fetch("SUITE_LINES"), @lines.values.map { |line| "#{line}\n" }.join)
  end

  private

  # Some examples share a description: they are told apart by their count.
  def add(example)
    file = example.metadata[:file_path].sub("./spec/", "")
    base = "#{file}::#{example.full_description.strip.gsub(/\s+/, "_")}"
    name = base
    count = 1
    name = "#{base}##{count += 1}" while @lines.key?(name)
    @lines[name] = yield(name)
  end

  def one_line(text)
    text.to_s.split.join(" ")[0, REASON_CHARACTERS_MAX]
  end
end
