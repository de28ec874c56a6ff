#include "protocols/head_rules.h"

#include <algorithm>

namespace headrace::protocols {
namespace {

struct Counted {
  size_t hosts = 0;
  size_t lengths = 0;
  size_t codings = 0;
};

std::optional<HeadRefusal> CheckHost(std::string_view host) {
  const auto foreign = [](char c) {
    return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f ||
           std::string_view("\"#,/<>?@\\^`{|}").find(c) != std::string_view::npos;
  };
  if (std::any_of(host.begin(), host.end(), foreign))
    return HeadRefusal{400, "a Host that is no host"};
  return std::nullopt;
}

std::optional<HeadRefusal> CheckCoding(std::string_view coding, int version) {
  if (version < 11) return HeadRefusal{400, "Transfer-Encoding in HTTP/1.0"};
  if (EqualsIgnoringCase(coding, "chunked")) return std::nullopt;
  const size_t comma = coding.find(',');
  const bool chunked_last = comma != std::string_view::npos && coding.size() >= 7 &&
                            EqualsIgnoringCase(coding.substr(coding.size() - 7), "chunked");
  if (chunked_last && !EqualsIgnoringCase(coding.substr(0, 7), "chunked"))
    return HeadRefusal{501, "a transfer coding beside chunked, which this server does not read"};
  return HeadRefusal{400, "a Transfer-Encoding that does not end in one chunked"};
}

std::optional<HeadRefusal> CheckLength(std::string_view length) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  if (length.empty() || length.size() > 19 || !std::all_of(length.begin(), length.end(), digit))
    return HeadRefusal{400, "a Content-Length that is no number"};
  return std::nullopt;
}

std::optional<HeadRefusal> CheckField(const HttpField& field, int version, Counted& counted) {
  if (field.name == "host") {
    if (++counted.hosts > 1) return HeadRefusal{400, "two Host fields"};
    return CheckHost(field.value);
  }
  if (field.name == "content-length") {
    if (++counted.lengths > 1) return HeadRefusal{400, "two Content-Length fields"};
    return CheckLength(field.value);
  }
  if (field.name == "transfer-encoding") {
    if (++counted.codings > 1) return HeadRefusal{400, "two Transfer-Encoding fields"};
    return CheckCoding(field.value, version);
  }
  if (field.name == "content-encoding" && !EqualsIgnoringCase(field.value, "identity"))
    return HeadRefusal{415, "a compressed body: send it as it is"};
  if (field.name == "expect" && !EqualsIgnoringCase(field.value, "100-continue"))
    return HeadRefusal{417, "an expectation that this server does not know"};
  return std::nullopt;
}

}  // namespace

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::optional<HeadRefusal> CheckFields(const std::vector<HttpField>& fields, int version) {
  Counted counted;
  for (const HttpField& field : fields)
    if (const auto refusal = CheckField(field, version, counted)) return refusal;
  if (counted.hosts == 0 && version == 11) return HeadRefusal{400, "no Host field"};
  if (counted.lengths > 0 && counted.codings > 0)
    return HeadRefusal{400, "both Content-Length and Transfer-Encoding"};
  return std::nullopt;
}

}  // namespace headrace::protocols
