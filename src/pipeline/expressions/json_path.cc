#include "pipeline/expressions/json_path.h"

#include <fmt/format.h>

#include "base/hex.h"
#include "pipeline/expressions/code_points.h"

namespace headrace::pipeline {
namespace {

using Text = std::string_view;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

// Four hexadecimal digits; -1 when they are none.
int FourDigits(Text text) {
  if (text.size() < 4) return -1;
  int value = 0;
  for (size_t i = 0; i < 4; ++i) {
    const int digit = base::HexDigit(text[i]);
    if (digit < 0) return -1;
    value = value << 4 | digit;
  }
  return value;
}
bool IsHighSurrogate(int unit) { return unit >= 0xD800 && unit <= 0xDBFF; }
bool IsLowSurrogate(int unit) { return unit >= 0xDC00 && unit <= 0xDFFF; }

constexpr size_t kNowhere = static_cast<size_t>(-1);  // not on the path

// Reads a document by recursive descent. `step` of a value is how many steps of the path lead to
// it, or kNowhere.
class Reader {
 public:
  Reader(Text document, const JsonPath& path, JsonValue* found)
      : text_(document), path_(path), found_(found) {}

  bool Run() {
    SkipBlanks();
    return Value(0, 0) && IsAtEnd();
  }

  // For a reader without a path.
  JsonList Elements(std::vector<JsonValue>& elements) {
    SkipBlanks();
    if (Now() != '[') {
      const JsonKind kind = Any(kNowhere, 0);
      if (kind == JsonKind::kAbsent || !IsAtEnd()) return JsonList::kMalformed;
      return kind == JsonKind::kNull ? JsonList::kNull : JsonList::kOther;
    }
    ++at_;
    SkipBlanks();
    if (Now() == ']') {
      ++at_;
    } else {
      while (true) {
        if (!Element(elements)) return JsonList::kMalformed;
        SkipBlanks();
        const char next = Now();
        if (next != ']' && next != ',') return JsonList::kMalformed;
        ++at_;
        if (next == ']') break;
        SkipBlanks();
      }
    }
    return IsAtEnd() ? JsonList::kArray : JsonList::kMalformed;
  }

 private:
  bool IsAtEnd() {
    SkipBlanks();
    return at_ == text_.size();
  }
  bool Element(std::vector<JsonValue>& elements) {
    const size_t begin = at_;
    blanks_ = escapes_ = false;
    const JsonKind kind = Any(kNowhere, 1);
    if (kind == JsonKind::kAbsent) return false;
    elements.push_back({kind, text_.substr(begin, at_ - begin), elements_, blanks_, escapes_});
    return true;
  }

  char Now() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void SkipBlanks() {
    while (at_ < text_.size() && IsBlank(text_[at_])) {
      blanks_ = true;
      ++at_;
    }
  }

  bool Value(size_t step, int depth) {
    if (depth > kJsonDepthMax) return false;
    if (step != path_.steps().size() || found_->kind != JsonKind::kAbsent)
      return Any(step, depth) != JsonKind::kAbsent;
    const size_t begin = at_;
    blanks_ = escapes_ = false;
    const JsonKind kind = Any(kNowhere, depth);
    if (kind == JsonKind::kAbsent) return false;
    *found_ = {kind, text_.substr(begin, at_ - begin), elements_, blanks_, escapes_};
    return true;
  }

  // kAbsent when it is malformed.
  JsonKind Any(size_t step, int depth) {
    switch (Now()) {
      case '{': return Object(step, depth) ? JsonKind::kObject : JsonKind::kAbsent;
      case '[': return Array(step, depth) ? JsonKind::kArray : JsonKind::kAbsent;
      case '"': return String() ? JsonKind::kString : JsonKind::kAbsent;
      case 't': return Word("true") ? JsonKind::kBool : JsonKind::kAbsent;
      case 'f': return Word("false") ? JsonKind::kBool : JsonKind::kAbsent;
      case 'n': return Word("null") ? JsonKind::kNull : JsonKind::kAbsent;
      default: return Number() ? JsonKind::kNumber : JsonKind::kAbsent;
    }
  }

  bool Word(Text word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    at_ += word.size();
    return true;
  }

  bool Digits() {
    const size_t begin = at_;
    while (IsDigit(Now())) ++at_;
    return at_ > begin;
  }
  bool Number() {
    if (Now() == '-') ++at_;
    if (Now() == '0')
      ++at_;
    else if (!Digits())
      return false;
    if (Now() == '.' && (++at_, !Digits())) return false;
    if (Now() != 'e' && Now() != 'E') return true;
    ++at_;
    if (Now() == '+' || Now() == '-') ++at_;
    return Digits();
  }

  bool String() {
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') return ++at_, true;
      if (static_cast<unsigned char>(c) < 0x20) return false;
      if (c == '\\' && !Escape()) return false;
    }
    return false;
  }
  // Stays on the escape's last byte. Half a surrogate pair stands for nothing.
  bool Escape() {
    escapes_ = true;
    const char c = ++at_ < text_.size() ? text_[at_] : '\0';
    if (c != 'u') return c != '\0' && Text("\"\\/bfnrt").find(c) != Text::npos;
    const int unit = FourDigits(text_.substr(at_ + 1));
    if (unit < 0 || IsLowSurrogate(unit)) return false;
    at_ += 4;
    if (!IsHighSurrogate(unit)) return true;
    const bool pair = text_.substr(at_ + 1).starts_with("\\u") &&
                      IsLowSurrogate(FourDigits(text_.substr(at_ + 3)));
    at_ += 6;
    return pair;
  }

  bool IsNamed(Text inside, bool escaped, const std::string& name) {
    if (!escaped) return inside == name;
    unescaped_.clear();
    AppendUnescaped(inside, unescaped_);
    return unescaped_ == name;
  }

  bool Object(size_t step, int depth) {
    const bool looks = step != kNowhere && path_.steps()[step].is_name();
    bool taken = false;
    ++at_;
    SkipBlanks();
    if (Now() == '}') return ++at_, true;
    while (true) {
      const size_t begin = at_ + 1;
      const bool before = escapes_;
      escapes_ = false;
      if (Now() != '"' || !String()) return false;
      const bool here =
          looks && !taken &&
          IsNamed(text_.substr(begin, at_ - 1 - begin), escapes_, path_.steps()[step].name);
      escapes_ |= before;
      taken |= here;
      SkipBlanks();
      if (Now() != ':') return false;
      ++at_;
      SkipBlanks();
      if (!Value(here ? step + 1 : kNowhere, depth + 1)) return false;
      SkipBlanks();
      if (Now() == '}') return ++at_, true;
      if (Now() != ',') return false;
      ++at_;
      SkipBlanks();
    }
  }

  // Where counting from the end is wanted, the elements are counted first.
  int64_t WantedIndex(size_t step, int depth) {
    if (step == kNowhere || path_.steps()[step].is_name()) return -1;
    const JsonPath::Step& wanted = path_.steps()[step];
    if (wanted.index >= 0) return wanted.index;
    const size_t begin = at_;
    const bool good = Array(kNowhere, depth);
    at_ = begin;
    return good ? elements_ - wanted.from_end : -1;
  }

  bool Array(size_t step, int depth) {
    const int64_t wanted = WantedIndex(step, depth);
    int64_t count = 0;
    ++at_;
    SkipBlanks();
    if (Now() == ']') return ++at_, elements_ = 0, true;
    while (true) {
      if (!Value(count == wanted ? step + 1 : kNowhere, depth + 1)) return false;
      ++count;
      SkipBlanks();
      if (Now() == ']') return ++at_, elements_ = count, true;
      if (Now() != ',') return false;
      ++at_;
      SkipBlanks();
    }
  }

  Text text_;
  const JsonPath& path_;
  JsonValue* found_;
  size_t at_ = 0;
  int64_t elements_ = 0;  // of the array that ended last
  bool blanks_ = false;
  bool escapes_ = false;
  std::string unescaped_;
};

}  // namespace

std::expected<JsonPath, std::string> JsonPath::Compile(Text text) {
  JsonPath path;
  if (text.empty()) return std::unexpected("the path is empty; write $ for the whole document");
  if (text[0] != '$') {
    if (text[0] == '/') return std::unexpected("a JSON pointer; write a path as $.a.b[0]");
    path.steps_.push_back({std::string(text), -1, -1});
    return path;
  }
  for (size_t at = 1; at < text.size();) {
    const size_t begin = at;
    const auto broken = [&](Text wanted) {
      return std::unexpected(
          fmt::format("`{}` of the path where {} should be", text.substr(begin), wanted));
    };
    Step step;
    if (text[at] == '[') {
      ++at;
      const bool from_end = text.substr(at).starts_with("#-");
      if (from_end) at += 2;
      int64_t number = 0;
      const size_t digits = at;
      while (at < text.size() && IsDigit(text[at]) && at - digits < 9)
        number = number * 10 + (text[at++] - '0');
      if (at == digits || at == text.size() || text[at] != ']') return broken("[0] or [#-1]");
      ++at;
      (from_end ? step.from_end : step.index) = number;
      path.counts_from_end_ |= from_end;
    } else if (text.substr(at).starts_with(".\"")) {
      const size_t end = text.find('"', at + 2);
      if (end == Text::npos) return broken("a name in quotes");
      step.name = text.substr(at + 2, end - at - 2);
      at = end + 1;
    } else if (text[at] == '.') {
      const size_t end = std::min(text.find_first_of(".[", at + 1), text.size());
      step.name = text.substr(at + 1, end - at - 1);
      if (step.name.empty() || step.name.find('*') != std::string::npos)
        return broken("a name (there are no wildcards)");
      at = end;
    } else {
      return broken(".name or [0]");
    }
    path.steps_.push_back(std::move(step));
  }
  return path;
}

bool FindInJson(Text document, const JsonPath& path, JsonValue* found) {
  *found = {};
  return Reader(document, path, found).Run();
}

JsonList ElementsOfJson(Text document, std::vector<JsonValue>& elements) {
  static const JsonPath kNoPath;
  JsonValue nothing;
  elements.clear();
  const JsonList list = Reader(document, kNoPath, &nothing).Elements(elements);
  if (list != JsonList::kArray) elements.clear();
  return list;
}

void AppendCompact(const JsonValue& value, std::string& out) {
  if (!value.has_blanks) {
    out += value.text;
    return;
  }
  bool quoted = false;
  for (size_t i = 0; i < value.text.size(); ++i) {
    const char c = value.text[i];
    if (quoted && c == '\\') {
      out += c;
      out += value.text[++i];
      continue;
    }
    if (c == '"') quoted = !quoted;
    if (quoted || !IsBlank(c)) out += c;
  }
}

void AppendUnescaped(Text inside, std::string& out) {
  while (!inside.empty()) {
    const size_t plain = std::min(inside.find('\\'), inside.size());
    out += inside.substr(0, plain);
    inside.remove_prefix(plain);
    if (inside.empty()) return;
    const char c = inside[1];
    inside.remove_prefix(2);
    if (c != 'u') {
      constexpr Text kLetters = "bfnrt";
      const size_t letter = kLetters.find(c);
      out += letter == Text::npos ? c : "\b\f\n\r\t"[letter];
      continue;
    }
    auto point = static_cast<uint32_t>(FourDigits(inside));
    inside.remove_prefix(4);
    if (IsHighSurrogate(static_cast<int>(point))) {
      const auto low = static_cast<uint32_t>(FourDigits(inside.substr(2)));
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
      inside.remove_prefix(6);
    }
    char bytes[4];
    out.append(bytes, WriteCodePoint(point, bytes));
  }
}

}  // namespace headrace::pipeline
