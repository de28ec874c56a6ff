#include "base/time.h"

#include <array>
#include <cctype>
#include <charconv>

#include <fmt/core.h>

namespace headrace::base {
namespace {

struct Unit {
  std::string_view name;
  int64_t us;
};
// Longest first where one name begins another ("ms" before "m").
constexpr std::array kUnits = {Unit{"us", 1},
                               Unit{"ms", 1'000},
                               Unit{"s", 1'000'000},
                               Unit{"m", 60'000'000},
                               Unit{"h", 3'600'000'000},
                               Unit{"d", 86'400'000'000},
                               Unit{"w", 604'800'000'000}};
constexpr int64_t kDayUs = 86'400'000'000;
constexpr uint64_t kMinuteUs = 60'000'000;

std::unexpected<Error> BadDuration(std::string_view text) {
  return Fail(
      ErrorCode::kInvalidInput,
      fmt::format(
          "`{}` is no duration: write a number and us, ms, s, m, h, d or w, such as 90s or 1h30m",
          text));
}

std::unexpected<Error> BadTimestamp(std::string_view text) {
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("`{}` is no time: write it as 2001-01-31T09:15:00Z (RFC 3339)", text));
}

const Unit* UnitAt(std::string_view text) {
  const Unit* best = nullptr;
  for (const Unit& unit : kUnits) {
    if (text.starts_with(unit.name) && (best == nullptr || unit.name.size() > best->name.size()))
      best = &unit;
  }
  return best;
}

// Reads exactly `digits` decimal digits at `text`'s front and removes them.
bool TakeNumber(std::string_view& text, size_t digits, int& value) {
  if (text.size() < digits) return false;
  value = 0;
  for (size_t i = 0; i < digits; ++i) {
    if (std::isdigit(static_cast<unsigned char>(text[i])) == 0) return false;
    value = value * 10 + (text[i] - '0');
  }
  text.remove_prefix(digits);
  return true;
}

bool TakeChar(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

bool TakeFraction(std::string_view& text, int64_t& us) {
  us = 0;
  int64_t scale = 100'000;
  size_t digits = 0;
  while (!text.empty() && std::isdigit(static_cast<unsigned char>(text.front())) != 0) {
    const int64_t digit = text.front() - '0';
    if (scale == 0 && digit != 0)
      return false;  // finer than a microsecond would be lost in silence
    us += digit * scale;
    scale /= 10;
    ++digits;
    text.remove_prefix(1);
  }
  return digits > 0;
}

bool TakeOffset(std::string_view& text, int64_t& offset_us) {
  offset_us = 0;
  if (text.empty() || TakeChar(text, "Zz")) return true;
  const bool negative = text.front() == '-';
  if (!TakeChar(text, "+-")) return false;
  int hours = 0;
  int minutes = 0;
  if (!TakeNumber(text, 2, hours)) return false;
  TakeChar(text, ":");
  if (!TakeNumber(text, 2, minutes) || hours > 23 || minutes > 59) return false;
  offset_us = (hours * 3'600'000'000LL + minutes * 60'000'000LL) * (negative ? -1 : 1);
  return true;
}

bool IsDate(int year, int month, int day) {
  if (month < 1 || month > 12 || day < 1) return false;
  const CivilDate back = CivilFromDays(DaysFromCivil(year, month, day));
  return back.year == year && back.month == static_cast<unsigned>(month) &&
         back.day == static_cast<unsigned>(day);
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  std::string_view rest = text;
  int64_t total = 0;
  if (rest.empty()) return BadDuration(text);
  while (!rest.empty()) {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    if (error != std::errc() || number < 0) return BadDuration(text);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    const Unit* unit = UnitAt(rest);
    if (unit == nullptr) return BadDuration(text);
    rest.remove_prefix(unit->name.size());
    int64_t part = 0;
    if (__builtin_mul_overflow(number, unit->us, &part) ||
        __builtin_add_overflow(total, part, &total))
      return BadDuration(text);
  }
  return Duration(total);
}

std::string FormatDuration(Duration d) {
  if (d.count() == 0) return "0s";
  std::string text = d.count() < 0 ? "-" : "";
  uint64_t left =
      d.count() < 0 ? 0 - static_cast<uint64_t>(d.count()) : static_cast<uint64_t>(d.count());
  const bool short_one = left < kMinuteUs;
  for (size_t i = kUnits.size(); i-- > 0 && left > 0;) {
    const auto unit = static_cast<uint64_t>(kUnits[i].us);
    if (kUnits[i].name == "w" || left < unit || (short_one && left % unit != 0)) continue;
    text += fmt::format("{}{}", left / unit, kUnits[i].name);
    left %= unit;
  }
  return text;
}

Result<Timestamp> ParseTimestamp(std::string_view text) {
  std::string_view rest = text;
  int year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0;
  int64_t fraction_us = 0;
  int64_t offset_us = 0;
  if (!TakeNumber(rest, 4, year) || !TakeChar(rest, "-") || !TakeNumber(rest, 2, month) ||
      !TakeChar(rest, "-") || !TakeNumber(rest, 2, day) || !IsDate(year, month, day))
    return BadTimestamp(text);
  if (!rest.empty()) {
    if (!TakeChar(rest, "Tt ") || !TakeNumber(rest, 2, hour) || !TakeChar(rest, ":") ||
        !TakeNumber(rest, 2, minute))
      return BadTimestamp(text);
    if (TakeChar(rest, ":")) {
      if (!TakeNumber(rest, 2, second)) return BadTimestamp(text);
      if (TakeChar(rest, ".") && !TakeFraction(rest, fraction_us)) return BadTimestamp(text);
    }
    if (!TakeOffset(rest, offset_us) || !rest.empty() || hour > 23 || minute > 59 || second > 59)
      return BadTimestamp(text);
  }
  const int64_t day_us = DaysFromCivil(year, month, day) * kDayUs;
  const int64_t clock_us =
      hour * 3'600'000'000LL + minute * 60'000'000LL + second * 1'000'000LL + fraction_us;
  return Timestamp{day_us + clock_us - offset_us};
}

namespace {

// The last `digits` digits of a number that is not negative.
char* WriteDigits(char* at, int64_t number, int digits) {
  for (int i = digits - 1; i >= 0; --i, number /= 10) at[i] = static_cast<char>('0' + number % 10);
  return at + digits;
}

}  // namespace

// In place, as answers hold many: several times faster than a format string.
std::string FormatTimestamp(Timestamp t) {
  const int64_t days = t.us >= 0 ? t.us / kDayUs : -((-(t.us + 1)) / kDayUs) - 1;
  const int64_t in_day = t.us - days * kDayUs;
  const CivilDate date = CivilFromDays(days);
  const int64_t fraction = in_day % 1'000'000;
  std::array<char, 32> text;
  char* at = text.data();
  std::string year;
  if (date.year < 0 || date.year > 9999)
    year = fmt::format("{:04}", date.year);
  else
    at = WriteDigits(at, date.year, 4);
  const auto part = [&](char before, int64_t number, int digits) {
    *at++ = before;
    at = WriteDigits(at, number, digits);
  };
  part('-', date.month, 2);
  part('-', date.day, 2);
  part('T', in_day / 3'600'000'000, 2);
  part(':', in_day / 60'000'000 % 60, 2);
  part(':', in_day / 1'000'000 % 60, 2);
  if (fraction % 1'000 != 0)
    part('.', fraction, 6);
  else if (fraction != 0)
    part('.', fraction / 1'000, 3);
  *at++ = 'Z';
  return year.append(text.data(), static_cast<size_t>(at - text.data()));
}

// Both follow the era arithmetic of a 400-year Gregorian cycle (146,097 days) counted from
// 0000-03-01.
int64_t DaysFromCivil(int year, unsigned month, unsigned day) {
  const int64_t y = month <= 2 ? year - 1 : year;
  const int64_t era = (y >= 0 ? y : y - 399) / 400;
  const int64_t year_of_era = y - era * 400;
  const int64_t day_of_year =
      (153 * (static_cast<int64_t>(month) + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  const int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  return era * 146'097 + day_of_era - 719'468;
}

CivilDate CivilFromDays(int64_t days) {
  const int64_t shifted = days + 719'468;
  const int64_t era = (shifted >= 0 ? shifted : shifted - 146'096) / 146'097;
  const int64_t day_of_era = shifted - era * 146'097;
  const int64_t year_of_era =
      (day_of_era - day_of_era / 1'460 + day_of_era / 36'524 - day_of_era / 146'096) / 365;
  const int64_t day_of_year =
      day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
  const int64_t month_index = (5 * day_of_year + 2) / 153;
  const auto day = static_cast<unsigned>(day_of_year - (153 * month_index + 2) / 5 + 1);
  const auto month = static_cast<unsigned>(month_index < 10 ? month_index + 3 : month_index - 9);
  return {static_cast<int>(year_of_era + era * 400 + (month <= 2 ? 1 : 0)), month, day};
}

}  // namespace headrace::base
