// Requests of a connection, whole and in pieces: what is read is the same, and within the limits.

#include "protocols/http_parser.h"
#include "fuzz/target.h"

namespace headrace::fuzz {
namespace {

using protocols::HttpRequestParser;
using State = HttpRequestParser::State;

constexpr protocols::HttpLimits kLimits{.header_bytes_max = 1024,
                                        .header_fields_max = 12,
                                        .target_bytes_max = 200,
                                        .body_bytes_max = 2000,
                                        .chunk_line_bytes_max = 64};

// Everything that was read of the bytes, as one text.
std::string Told(std::string_view bytes, size_t piece) {
  base::MemoryBudget budget(1U << 20);
  HttpRequestParser parser(kLimits, budget);
  std::string told;
  for (size_t at = 0; at < bytes.size();) {
    const std::string next(bytes.substr(at, piece));  // a copy: reading past it is caught
    const size_t used = parser.Feed({reinterpret_cast<const uint8_t*>(next.data()), next.size()});
    Promise(used <= next.size(), "no more is used than was given");
    at += used;
    // What is found wrong first may depend on the pieces; that something is may not.
    if (parser.state() == State::kFailed) return told + "!";
    if (parser.state() == State::kComplete) {
      const bool stays = parser.keep_alive();
      const protocols::HttpRequest request = parser.Take();
      Promise(request.body.size() <= kLimits.body_bytes_max, "a body within its limit");
      Promise(request.fields.size() <= kLimits.header_fields_max, "fields within their limit");
      Promise(request.path.starts_with('/') || request.path == "*", "a path");
      told += std::string(NameOf(request.method)) + " " + request.path + "\n";
      for (const auto& [name, value] : request.query) told.append(name).append(value);
      for (const auto& field : request.fields) told.append(field.name).append(field.value);
      told += request.body;
      if (!stays) return told;
    } else {
      Promise(used == next.size(), "an unfinished request uses all that came");
    }
  }
  return told + "...";
}

}  // namespace
}  // namespace headrace::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace headrace::fuzz;
  return ReadsTheSameInPieces(data, size, Told);
}
