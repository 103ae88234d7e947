// Formatting of device printf, and the buffers of devices.
#include "execute/device_output.hpp"

#include <cstdio>
#include <map>
#include <mutex>

#include "execute/engine.hpp"

namespace gpusim::execute {
namespace {

struct Outputs {
  std::mutex mutex;
  std::map<int, std::string> text;
  static Outputs& instance() {
    static Outputs& outputs = *new Outputs;
    return outputs;
  }
};

constexpr std::size_t kBufferBytes = 1 << 20;

/// One conversion of a format: flags, width and precision with '*' replaced, and its letter.
struct Conversion {
  std::string text;  ///< "%-08." and what follows, without length and letter
  bool wide = false;
  char letter = 0;
};

class Formatter {
 public:
  Formatter(const std::string& format, const PrintfSource& source)
      : format_(format), source_(source) {}

  std::string run(int& count) {
    while (at_ < format_.size()) {
      if (format_[at_] != '%') {
        result_ += format_[at_++];
      } else if (at_ + 1 < format_.size() && format_[at_ + 1] == '%') {
        result_ += '%';
        at_ += 2;
      } else {
        convert();
      }
    }
    count = count_;
    return result_;
  }

 private:
  template <class T>
  T take() {
    offset_ = (offset_ + sizeof(T) - 1) / sizeof(T) * sizeof(T);
    T value{};
    source_.argument(offset_, &value, sizeof(T));
    offset_ += sizeof(T);
    ++count_;
    return value;
  }

  Conversion parse() {
    Conversion c;
    c.text = "%";
    ++at_;
    while (at_ < format_.size()) {
      const char letter = format_[at_++];
      if (letter == '*') {
        c.text += std::to_string(take<std::int32_t>());
      } else if (letter == 'l' || letter == 'j' || letter == 'z' || letter == 't') {
        c.wide = true;
      } else if (letter == 'h' || letter == 'L' || letter == 'q') {
        continue;
      } else if ((letter >= '0' && letter <= '9') || letter == '.' || letter == '-' ||
                 letter == '+' || letter == ' ' || letter == '#') {
        c.text += letter;
      } else {
        c.letter = letter;
        break;
      }
    }
    return c;
  }

  template <class T>
  void print(const std::string& format, T value) {
    char buffer[512];
    const int length = std::snprintf(buffer, sizeof(buffer), format.c_str(), value);
    if (length < 0) return;
    if (static_cast<std::size_t>(length) < sizeof(buffer)) {
      result_.append(buffer, static_cast<std::size_t>(length));
      return;
    }
    std::string large(static_cast<std::size_t>(length) + 1, '\0');
    std::snprintf(large.data(), large.size(), format.c_str(), value);
    large.pop_back();
    result_ += large;
  }

  void convert() {
    const Conversion c = parse();
    switch (c.letter) {
      case 'd':
      case 'i':
        print(c.text + "lld",
              static_cast<long long>(c.wide ? take<std::int64_t>() : take<std::int32_t>()));
        break;
      case 'u':
      case 'x':
      case 'X':
      case 'o':
        print(c.text + "ll" + c.letter,
              static_cast<unsigned long long>(c.wide ? take<std::uint64_t>()
                                                     : take<std::uint32_t>()));
        break;
      case 'c':
        print(c.text + "c", static_cast<int>(take<std::int32_t>()));
        break;
      case 'e':
      case 'E':
      case 'f':
      case 'F':
      case 'g':
      case 'G':
      case 'a':
      case 'A':
        print(c.text + c.letter, take<double>());
        break;
      case 's':
        print(c.text + "s", source_.string(take<std::uint64_t>()).c_str());
        break;
      case 'p':
        print(c.text + "p", reinterpret_cast<void*>(take<std::uint64_t>()));
        break;
      default:
        result_ += c.text + (c.letter == 0 ? std::string() : std::string(1, c.letter));
    }
  }

  const std::string& format_;
  const PrintfSource& source_;
  std::size_t at_ = 0;
  std::uint32_t offset_ = 0;
  int count_ = 0;
  std::string result_;
};

}  // namespace

std::string format_printf(const std::string& format, const PrintfSource& source, int& count) {
  return Formatter(format, source).run(count);
}

void write_device_output(int device, const std::string& text) {
  bool full = false;
  {
    Outputs& outputs = Outputs::instance();
    const std::lock_guard lock(outputs.mutex);
    std::string& buffer = outputs.text[device];
    buffer += text;
    full = buffer.size() > kBufferBytes;
  }
  if (full) flush_device_output(device);
}

}  // namespace gpusim::execute

namespace gpusim {

void flush_device_output(int device) {
  std::string text;
  {
    execute::Outputs& outputs = execute::Outputs::instance();
    const std::lock_guard lock(outputs.mutex);
    text.swap(outputs.text[device]);
  }
  if (text.empty()) return;
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace gpusim
