#pragma once
// Heads of requests that were read before: a client sends the same few again and again, and reading
// one takes longer than finding it. What a head means depends on its bytes alone; whether its
// sender may, and the limits, are looked at each time.

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "protocols/http_head.h"
#include "protocols/target.h"

namespace headrace::protocols {

// Not thread-safe: each thread has its own.
class KeptHeads {
 public:
  static constexpr size_t kHeadsMax = 64;    // a new one takes the place of another
  static constexpr size_t kBytesMax = 1024;  // a longer head is not kept
  static constexpr size_t kPartsMax = 32;    // nor one with more fields and parts of a query

  struct Entry {
    std::string text;  // up to the empty line, and with it
    RequestHead head;
    Target target;
  };
  // The one that `bytes` begins with, until the next Keep; null when it begins with none of them.
  const Entry* Find(std::string_view bytes) const;
  // `text` is a whole head that is right.
  void Keep(std::string_view text, const RequestHead& head, const Target& target);

 private:
  static size_t PlaceOf(std::string_view text);

  std::array<Entry, kHeadsMax> entries_;
};

}  // namespace headrace::protocols
