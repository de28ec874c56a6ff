#include "fuzz/input_mutator.h"

#include <algorithm>
#include <array>
#include <string_view>

namespace headrace::fuzz {
namespace {

// What parsers look for, and numbers at the edges of types.
constexpr auto kWords = std::to_array<std::string_view>({
    "\r\n",
    "\r",
    "\n",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ": ",
    ",",
    ";",
    "=",
    "%",
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "*",
    "$",
    "+",
    "-",
    "0",
    "1",
    "-1",
    "00",
    "127",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "18446744073709551615",
    "18446744073709551616",
    "1e308",
    "1e309",
    "-0.0",
    "NaN",
    "null",
    "true",
    "\\u0000",
    "\\ud800",
    "\xff",
    "\xc0\xaf",
    "\xed\xa0\x80",
    "%00",
    "%2f",
    "Content-Length: ",
    "Transfer-Encoding: chunked\r\n",
    "Host: h\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "GET / HTTP/1.1\r\n",
    "POST /get-online-features HTTP/1.1\r\n",
    "$-1\r\n",
    "*-1\r\n",
    "$0\r\n\r\n",
    "2026-06-30T23:59:00Z",
    "9999-12-31T23:59:59.999999Z",
    "card",
    "entities",
    "features",
});

}  // namespace

InputMutator::InputMutator(std::vector<std::string> seeds, uint64_t seed)
    : seeds_(std::move(seeds)), random_(seed) {}

std::string InputMutator::Next() {
  std::string input = seeds_[Below(seeds_.size())];
  for (size_t changes = 1 + Below(8); changes > 0; --changes) Change(input);
  if (input.size() > kBytesMax) input.resize(kBytesMax);
  return input;
}

void InputMutator::Change(std::string& input) {
  const size_t at = Below(input.size() + 1);
  const size_t span = std::min(Below(16) + 1, input.size() - at);
  switch (Below(9)) {
    case 0:
      if (at < input.size()) input[at] = static_cast<char>(random_());
      return;
    case 1:
      if (at < input.size()) input[at] = static_cast<char>(input[at] ^ (1 << Below(8)));
      return;
    case 2: input.erase(at, span); return;
    case 3: input.insert(at, std::string(input, at, span)); return;
    case 4: input.insert(at, kWords[Below(kWords.size())]); return;
    case 5: input.replace(at, span, kWords[Below(kWords.size())]); return;
    case 6: input.insert(at, Below(200), static_cast<char>(random_())); return;
    case 7: {
      const std::string& other = seeds_[Below(seeds_.size())];
      const size_t from = Below(other.size() + 1);
      input.insert(at, other, from, Below(other.size() - from + 1));
      return;
    }
    default: input.resize(at); return;
  }
}

}  // namespace headrace::fuzz
