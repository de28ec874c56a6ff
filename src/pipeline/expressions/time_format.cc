#include "pipeline/expressions/time_format.h"

#include <fmt/format.h>

#include <array>

#include "pipeline/expressions/calendar.h"
#include "pipeline/expressions/lexer.h"

namespace headrace::pipeline {
namespace {

using Text = std::string_view;

constexpr std::array<Text, 12> kMonths = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
constexpr std::array<Text, 7> kDays = {"Monday", "Tuesday",  "Wednesday", "Thursday",
                                       "Friday", "Saturday", "Sunday"};
constexpr Text kPrinted = "YmdHMSfgyjIpbBaAzuwVG";
constexpr Text kParsed = "YmdHMSfgyIpbBaAz";

void AddNumber(MadeText& text, int64_t value, int digits) {
  char buffer[24];
  const auto end = fmt::format_to_n(buffer, sizeof(buffer), "{:0{}}", value, digits);
  text.Add(Text(buffer, end.size));
}

// What is read so far.
struct Fields {
  int64_t year = 1900, month = 1, day = 1, hour = 0, minute = 0, second = 0, us = 0;
  int64_t offset_minutes = 0;
  enum class Half : uint8_t { kNone, kAm, kPm };
  Half half = Half::kNone;  // of the day, when the text names one
};

bool IsBlank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

void SkipBlanks(Text& rest) {
  while (!rest.empty() && IsBlank(rest.front())) rest.remove_prefix(1);
}

// The text of a format, in which a run of blanks stands for any other.
bool TakeText(Text& rest, Text wanted) {
  while (!wanted.empty()) {
    if (rest.empty()) return false;
    const bool blank = IsBlank(wanted.front());
    if (blank ? !IsBlank(rest.front()) : rest.front() != wanted.front()) return false;
    rest.remove_prefix(1);
    wanted.remove_prefix(1);
    if (!blank) continue;
    SkipBlanks(rest);
    SkipBlanks(wanted);
  }
  return true;
}

// 1 to `digits_max` digits off the front.
bool TakeNumber(Text& rest, size_t digits_max, int64_t low, int64_t high, int64_t* out) {
  *out = 0;
  size_t n = 0;
  for (; n < digits_max && n < rest.size() && rest[n] >= '0' && rest[n] <= '9'; ++n)
    *out = *out * 10 + (rest[n] - '0');
  rest.remove_prefix(n);
  return n > 0 && *out >= low && *out <= high;
}

// Digits after the point: 5 is 500,000 us.
bool TakeFraction(Text& rest, size_t digits_max, int64_t* us) {
  const size_t before = rest.size();
  if (!TakeNumber(rest, digits_max, 0, 999'999, us)) return false;
  for (size_t digits = before - rest.size(); digits < 6; ++digits) *us *= 10;
  return true;
}

template <size_t kCount>
bool TakeName(Text& rest, const std::array<Text, kCount>& names, size_t letters, int64_t* index) {
  for (size_t i = 0; i < kCount; ++i) {
    const Text name = letters == 0 ? names[i] : names[i].substr(0, letters);
    if (rest.size() < name.size() || LowerAscii(rest.substr(0, name.size())) != LowerAscii(name))
      continue;
    rest.remove_prefix(name.size());
    *index = static_cast<int64_t>(i) + 1;
    return true;
  }
  return false;
}

// Z, +hh, +hhmm or +hh:mm.
bool TakeOffset(Text& rest, int64_t* minutes) {
  if (rest.starts_with('Z')) return rest.remove_prefix(1), true;
  if (!rest.starts_with('+') && !rest.starts_with('-')) return false;
  const int64_t sign = rest.front() == '-' ? -1 : 1;
  rest.remove_prefix(1);
  int64_t hours = 0;
  int64_t rest_minutes = 0;
  if (!TakeNumber(rest, 2, 0, 15, &hours)) return false;
  const bool colon = rest.starts_with(':');
  if (colon) rest.remove_prefix(1);
  const bool more = !rest.empty() && rest.front() >= '0' && rest.front() <= '9';
  if ((colon || more) && !TakeNumber(rest, 2, 0, 59, &rest_minutes)) return false;
  *minutes = sign * (hours * 60 + rest_minutes);
  return true;
}

bool TakeField(char specifier, Text& rest, Fields& fields) {
  int64_t ignored = 0;
  switch (specifier) {
    case 'Y': return TakeNumber(rest, 4, 0, 9999, &fields.year);
    case 'm': return TakeNumber(rest, 2, 1, 12, &fields.month);
    case 'd': return TakeNumber(rest, 2, 1, 31, &fields.day);
    case 'H': return TakeNumber(rest, 2, 0, 23, &fields.hour);
    case 'M': return TakeNumber(rest, 2, 0, 59, &fields.minute);
    case 'S': return TakeNumber(rest, 2, 0, 59, &fields.second);
    case 'f': return TakeFraction(rest, 6, &fields.us);
    case 'g': return TakeFraction(rest, 3, &fields.us);
    case 'I': return TakeNumber(rest, 2, 1, 12, &fields.hour);
    case 'b': return TakeName(rest, kMonths, 3, &fields.month);
    case 'B': return TakeName(rest, kMonths, 0, &fields.month);
    case 'a': return TakeName(rest, kDays, 3, &ignored);
    case 'A': return TakeName(rest, kDays, 0, &ignored);
    case 'z': return TakeOffset(rest, &fields.offset_minutes);
    case 'y':
      if (!TakeNumber(rest, 2, 0, 99, &fields.year)) return false;
      fields.year += fields.year < 69 ? 2000 : 1900;
      return true;
    case 'p': {
      const std::string letters = LowerAscii(rest.substr(0, 2));
      if (letters != "am" && letters != "pm") return false;
      fields.half = letters == "pm" ? Fields::Half::kPm : Fields::Half::kAm;
      rest.remove_prefix(2);
      return true;
    }
    default: return false;
  }
}

void PrintField(char specifier, bool padded, int64_t us, MadeText& text) {
  const base::CivilDate date = DateOf(us);
  const int64_t in_day = InDay(us);
  const int two = padded ? 2 : 1;
  const int64_t hour = in_day / kHourUs;
  switch (specifier) {
    case 'Y': AddNumber(text, date.year, 4); break;
    case 'y': AddNumber(text, (date.year % 100 + 100) % 100, two); break;
    case 'm': AddNumber(text, date.month, two); break;
    case 'd': AddNumber(text, date.day, two); break;
    case 'H': AddNumber(text, hour, two); break;
    case 'I': AddNumber(text, (hour + 11) % 12 + 1, two); break;
    case 'M': AddNumber(text, in_day % kHourUs / kMinuteUs, two); break;
    case 'S': AddNumber(text, in_day % kMinuteUs / kSecondUs, two); break;
    case 'f': AddNumber(text, in_day % kSecondUs, 6); break;
    case 'g': AddNumber(text, in_day % kSecondUs / 1000, 3); break;
    case 'j': AddNumber(text, DayOfYear(us), padded ? 3 : 1); break;
    case 'p': text.Add(hour < 12 ? "AM" : "PM"); break;
    case 'b': text.Add(kMonths[date.month - 1].substr(0, 3)); break;
    case 'B': text.Add(kMonths[date.month - 1]); break;
    case 'a': text.Add(kDays[static_cast<size_t>(IsoWeekday(us)) - 1].substr(0, 3)); break;
    case 'A': text.Add(kDays[static_cast<size_t>(IsoWeekday(us)) - 1]); break;
    case 'z': text.Add("+00"); break;
    case 'u': AddNumber(text, IsoWeekday(us), 1); break;
    case 'w': AddNumber(text, IsoWeekday(us) % 7, 1); break;
    case 'V': AddNumber(text, IsoWeek(us), 2); break;
    default: AddNumber(text, IsoYear(us), 4); break;  // G
  }
}

}  // namespace

std::expected<std::shared_ptr<const TimeFormat>, std::string> TimeFormat::Compile(Text format,
                                                                                  Use use) {
  const Text known = use == Use::kPrint ? kPrinted : kParsed;
  auto compiled = std::make_shared<TimeFormat>();
  for (size_t at = 0; at < format.size(); ++at) {
    Item item;
    if (format[at] != '%') {
      item.text = format[at];
    } else {
      ++at;
      item.padded = at >= format.size() || format[at] != '-';
      if (!item.padded) ++at;
      const char c = at < format.size() ? format[at] : '\0';
      const bool may_be_bare = Text("mdHMSIjy").find(c) != Text::npos;
      if (c == '%' && item.padded) {
        item.text = "%";
      } else if (c != '\0' && known.find(c) != Text::npos && (item.padded || may_be_bare)) {
        item.specifier = c;
      } else {
        return std::unexpected(fmt::format("no specifier `%{}{}`; there are %{} and %%",
                                           item.padded ? "" : "-", c == '\0' ? ' ' : c,
                                           fmt::join(known, " %")));
      }
    }
    const bool joins =
        item.specifier == 0 && !compiled->items_.empty() && compiled->items_.back().specifier == 0;
    if (joins)
      compiled->items_.back().text += item.text;
    else
      compiled->items_.push_back(std::move(item));
  }
  return compiled;
}

uint8_t TimeFormat::Print(int64_t us, Frame& frame, Text* out) const {
  MadeText text(frame);
  for (const Item& item : items_) {
    if (item.specifier == 0)
      text.Add(item.text);
    else
      PrintField(item.specifier, item.padded, us, text);
  }
  return text.Finish(out);
}

bool TimeFormat::Parse(Text text, int64_t* us) const {
  Fields fields;
  *us = 0;
  SkipBlanks(text);
  for (const Item& item : items_) {
    const bool taken =
        item.specifier == 0 ? TakeText(text, item.text) : TakeField(item.specifier, text, fields);
    if (!taken) return false;
  }
  SkipBlanks(text);
  const auto year = static_cast<int>(fields.year);
  const auto month = static_cast<unsigned>(fields.month);
  if (!text.empty() || fields.day > DaysInMonth(year, month)) return false;
  int64_t hour = fields.hour;
  if (fields.half != Fields::Half::kNone) {
    if (hour > 12) return false;
    hour = hour % 12 + (fields.half == Fields::Half::kPm ? 12 : 0);
  }
  *us = base::DaysFromCivil(year, month, static_cast<unsigned>(fields.day)) * kDayUs +
        hour * kHourUs + fields.minute * kMinuteUs + fields.second * kSecondUs + fields.us -
        fields.offset_minutes * kMinuteUs;
  return true;
}

}  // namespace headrace::pipeline
