#pragma once
// Dead letters a page at a time: what is asked for, and where the next page begins.

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "base/ids.h"
#include "base/result.h"

namespace headrace::wiring {

// A place among all refused rows of a log. Of `epoch`, so many have been passed, in the log's
// order and of whatever stream; of those before it, all. A place stays where it is when rows come
// in. Written "7.250", or "7" when the whole epoch has been passed.
struct LetterPosition {
  static constexpr uint64_t kWhole = std::numeric_limits<uint64_t>::max();

  base::EpochId epoch;
  uint64_t letters = kWhole;
  auto operator<=>(const LetterPosition&) const = default;

  // Errors: kInvalidInput.
  static base::Result<LetterPosition> Parse(std::string_view text);
  std::string ToString() const;
};

// Whether values of restricted fields are told.
enum class Payloads : uint8_t { kMasked, kAsTheyCame };

struct DeadLetterQuery {
  std::string stream;  // empty: all
  LetterPosition after;
  uint64_t limit = 100;
  Payloads payloads = Payloads::kMasked;
};

struct DeadLetterPage {
  std::string json;  // an array
  // Where the next page begins; nothing: there is none, as of now.
  std::optional<LetterPosition> next;
};

}  // namespace headrace::wiring
