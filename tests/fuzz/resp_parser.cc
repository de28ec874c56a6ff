// Commands of a connection, whole and in pieces: what is read is the same, and within the limits.

#include "protocols/resp_parser.h"
#include "fuzz/target.h"

namespace headrace::fuzz {
namespace {

using protocols::RespParser;

constexpr protocols::RespLimits kLimits{
    .arguments_max = 16, .argument_bytes_max = 100, .command_bytes_max = 400, .line_bytes_max = 80};

std::string Told(std::string_view bytes, size_t piece) {
  RespParser parser(kLimits);
  std::string told;
  std::string unread;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    unread += bytes.substr(at, piece);
    while (!unread.empty()) {
      const std::string given = unread;  // a copy: reading past it is caught
      const RespParser::Outcome outcome = parser.Parse(given);
      // What is found wrong first may depend on the pieces; that something is may not.
      if (outcome == RespParser::Outcome::kFailed) return told + "!";
      if (outcome == RespParser::Outcome::kIncomplete) break;
      Promise(parser.size() > 0 && parser.size() <= unread.size(), "a command has its bytes");
      Promise(parser.arguments().size() <= kLimits.arguments_max, "arguments within their limit");
      told += "[" + std::to_string(parser.arguments().size());
      for (const std::string_view argument : parser.arguments()) told.append("|").append(argument);
      unread.erase(0, parser.size());
      parser.Next();
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
