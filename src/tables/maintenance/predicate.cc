#include "tables/maintenance/predicate.h"

#include <fmt/format.h>

#include <array>
#include <cctype>
#include <limits>
#include <optional>
#include <string>
#include <utility>

namespace headrace::tables {
namespace {

using base::ErrorCode;
using base::Result;
using columns::Type;
using columns::Value;
using delta::Condition;
using Is = Condition::Is;

constexpr base::Duration kDay = std::chrono::hours(24);

bool IsTime(Type type) { return type == Type::kTimestamp || type == Type::kTimestampNtz; }

class PredicateReader {
 public:
  PredicateReader(std::string_view text, const delta::TableColumns& table, base::Timestamp now)
      : text_(text), table_(table), now_(now) {}

  Result<std::vector<Condition>> Run() {
    if (text_.size() > kPredicateBytesMax) return Wrong("it is longer than 4 KiB");
    do {
      HR_TRY_VOID(One());
    } while (TakeWord("and"));
    SkipBlanks();
    if (at_ != text_.size())
      return Wrong(
          fmt::format("`{}` is not understood: conditions are joined by `and`", text_.substr(at_)));
    return std::move(conditions_);
  }

 private:
  std::unexpected<base::Error> Wrong(const std::string& why) const {
    return base::Fail(ErrorCode::kInvalidInput, fmt::format("where `{}`: {}", text_, why));
  }
  void SkipBlanks() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  static bool IsNamePart(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  }
  std::string_view Name() {
    SkipBlanks();
    const size_t begin = at_;
    while (at_ < text_.size() && IsNamePart(text_[at_])) ++at_;
    return text_.substr(begin, at_ - begin);
  }
  bool TakeWord(std::string_view word) {
    SkipBlanks();
    const size_t before = at_;
    std::string name(Name());
    for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (name == word) return true;
    at_ = before;
    return false;
  }
  bool TakeSign(std::string_view sign) {
    SkipBlanks();
    if (!text_.substr(at_).starts_with(sign)) return false;
    at_ += sign.size();
    return true;
  }

  Result<const delta::TableColumn*> Column() {
    const std::string name(Name());
    if (name.empty()) return Wrong(fmt::format("a column is missing at `{}`", text_.substr(at_)));
    const delta::TableColumn* column = table_.Named(name);
    if (column == nullptr) return Wrong(fmt::format("no column `{}` in the table", name));
    if (column->held && !columns::IsList(*column->held)) return column;
    return Wrong(fmt::format("column `{}` is {}, which is not compared", name, column->type));
  }

  Result<Is> Comparison() {
    constexpr std::array<std::pair<std::string_view, Is>, 5> kSigns = {{{"<=", Is::kAtMost},
                                                                        {">=", Is::kAtLeast},
                                                                        {"<", Is::kLess},
                                                                        {">", Is::kGreater},
                                                                        {"=", Is::kEqual}}};
    for (const auto& [sign, is] : kSigns)
      if (TakeSign(sign)) return is;
    return Wrong(fmt::format("=, <, <=, > or >= is missing at `{}`", text_.substr(at_)));
  }

  // A quoted text without its quotes, or a word: a number, true, false.
  Result<std::string> Literal() {
    SkipBlanks();
    std::string value;
    if (!TakeSign("'")) {
      while (at_ < text_.size() && (IsNamePart(text_[at_]) || text_[at_] == '.' ||
                                    text_[at_] == '-' || text_[at_] == '+'))
        value += text_[at_++];
      if (value.empty()) return Wrong(fmt::format("a value is missing at `{}`", text_.substr(at_)));
      return value;
    }
    for (; at_ < text_.size(); ++at_) {
      if (text_[at_] == '\'' && !text_.substr(at_ + 1).starts_with('\'')) {
        ++at_;
        return value;
      }
      if (text_[at_] == '\'') ++at_;
      value += text_[at_];
    }
    return Wrong("a quote is not closed");
  }

  Result<Value> ValueFor(const delta::TableColumn& column) {
    const Type type = *column.held;
    if (TakeWord("now")) {
      if (!IsTime(type))
        return Wrong(fmt::format("column `{}` is {}, and `now` a time", column.name, column.type));
      base::Timestamp time = now_;
      if (TakeSign("-")) {
        HR_TRY(const std::string span, Literal());
        HR_TRY(const base::Duration back, base::ParseDuration(span));
        time = time - back;
      }
      return Value(type, time.us);
    }
    HR_TRY(const std::string text, Literal());
    auto value = Value::FromText(type, text);
    if (value) return value;
    return Wrong(
        fmt::format("column `{}` is {}: {}", column.name, column.type, value.error().message()));
  }

  // day(column) = ...
  Result<void> Day() {
    HR_TRY(const delta::TableColumn* column, Column());
    if (!IsTime(*column->held))
      return Wrong(fmt::format("column `{}` is {}, which has no day", column->name, column->type));
    if (!TakeSign(")") || !TakeSign("=")) return Wrong("write it like day(landed_at) = yesterday");
    base::Timestamp begin{now_.us - now_.us % kDay.count()};
    if (TakeWord("yesterday")) {
      begin = begin - kDay;
    } else if (!TakeWord("today")) {
      HR_TRY(const std::string text, Literal());
      auto day = Value::FromText(Type::kDate, text);
      if (!day) return Wrong(fmt::format("`{}` is no day", text));
      begin = {day->as_int() * kDay.count()};
    }
    conditions_.push_back({column->name, Is::kAtLeast, Value(*column->held, begin.us)});
    conditions_.push_back({column->name, Is::kLess, Value(*column->held, (begin + kDay).us)});
    return {};
  }

  Result<void> One() {
    const size_t before = at_;
    if (TakeWord("day") && TakeSign("(")) return Day();
    at_ = before;
    HR_TRY(const delta::TableColumn* column, Column());
    HR_TRY(const Is is, Comparison());
    HR_TRY(Value value, ValueFor(*column));
    conditions_.push_back({column->name, is, std::move(value)});
    return {};
  }

  const std::string_view text_;
  const delta::TableColumns& table_;
  const base::Timestamp now_;
  size_t at_ = 0;
  std::vector<Condition> conditions_;
};

}  // namespace

Result<std::vector<Condition>> ParsePredicate(std::string_view text,
                                              const delta::TableColumns& table,
                                              base::Timestamp now) {
  return PredicateReader(text, table, now).Run();
}

}  // namespace headrace::tables
