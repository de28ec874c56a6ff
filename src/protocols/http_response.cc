// The writing half of http_parser.h.
#include <fmt/format.h>

#include <array>

#include "base/time.h"
#include "protocols/http_parser.h"

namespace headrace::protocols {
namespace {

constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                      "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr int64_t kDaySeconds = 86'400;
constexpr size_t kHeadBytes = 256;  // of most heads

void AppendNumber(std::string& out, uint64_t number) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out += name;
  out += ": ";
  out += value;
  out += "\r\n";
}

}  // namespace

std::string HttpDate(int64_t unix_us) {
  const int64_t seconds = unix_us / 1'000'000;
  const int64_t days = seconds / kDaySeconds;
  const int64_t of_day = seconds % kDaySeconds;
  const base::CivilDate date = base::CivilFromDays(days);
  return fmt::format("{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     kDays[static_cast<size_t>((days + 4) % 7)], date.day, kMonths[date.month - 1],
                     date.year, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

void AppendHead(const HttpResponse& response, std::string_view date, AfterResponse after,
                std::string& out) {
  out += "HTTP/1.1 ";
  AppendNumber(out, static_cast<uint64_t>(response.status));
  out += ' ';
  out += ReasonPhrase(response.status);
  out += "\r\n";
  if (!date.empty()) AppendField(out, "Date", date);
  if (!response.content_type.empty()) AppendField(out, "Content-Type", response.content_type);
  for (const HttpField& field : response.fields) AppendField(out, field.name, field.value);
  if (after == AfterResponse::kClose) AppendField(out, "Connection", "close");
  if (response.status != 204 && response.status != 304) {
    out += "Content-Length: ";
    AppendNumber(out, response.body.size());
    out += "\r\n";
  }
  out += "\r\n";
}

void AppendResponse(const HttpResponse& response, std::string_view date, BodyPart body,
                    AfterResponse after, std::string& out) {
  out.reserve(out.size() + response.body.size() + kHeadBytes);
  AppendHead(response, date, after, out);
  if (body == BodyPart::kSend) out += response.body;
}

}  // namespace headrace::protocols
