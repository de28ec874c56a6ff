#pragma once
// Dead letters a page at a time, and those that are sent again: what is asked for, what it came to,
// and where the next page begins.

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

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
  enum class Which : uint8_t { kAll, kOpen } which = Which::kAll;  // kOpen: that did not come in
};

struct DeadLetterPage {
  std::string json;  // an array
  // Where the next page begins; nothing: there is none, as of now.
  std::optional<LetterPosition> next;
};

struct ReplayRequest {
  std::string stream;
  std::string rule;  // only those that were refused for it; empty: all
  LetterPosition after;
  uint64_t limit = 10'000;  // letters to try, at most
  enum class Run : uint8_t { kReal, kDry } run = Run::kReal;
};

struct ReplayReport {
  // One that did not come in, and why not by now.
  struct Kept {
    base::EpochId epoch;
    uint32_t row = 0;  // of the request that it came with
    std::string field;
    std::string rule;
    std::string reason;
  };
  std::string stream;
  ReplayRequest::Run run = ReplayRequest::Run::kReal;
  uint64_t replayed = 0;  // a dry run: would come in, unless they are late or ahead of the clock
  uint64_t kept = 0;
  uint64_t replayed_before = 0;  // passed by
  base::EpochId epoch;           // the newest that has some of them; 0: none came in
  std::vector<Kept> listed;      // of those kept the first
  std::optional<LetterPosition> next;

  // {"stream","dry_run","replayed","kept","replayed_before","epoch","listed":[{"epoch","row",
  // "field","rule","reason"}],"next"}; `epoch` and `next` may be null.
  std::string ToJson() const;
};

using ReplayDone = std::move_only_function<void(base::Result<ReplayReport>)>;

}  // namespace headrace::wiring
