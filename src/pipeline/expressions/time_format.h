#pragma once
// The formats of strftime and strptime: a stated set of specifiers, English names, no locale.

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "pipeline/expressions/kernels.h"

namespace headrace::pipeline {

// Compiled once. Immutable.
class TimeFormat : public StepData {
 public:
  enum class Use : uint8_t { kPrint, kParse };
  // Errors: what is wrong with the format, in a sentence.
  static std::expected<std::shared_ptr<const TimeFormat>, std::string> Compile(
      std::string_view format, Use use);

  // False when the text would be too long.
  uint8_t Print(int64_t us, Frame& frame, std::string_view* out) const;
  // What the format does not say is 1900-01-01, midnight, UTC. False when the text does not fit.
  bool Parse(std::string_view text, int64_t* us) const;

 private:
  struct Item {
    char specifier = 0;  // 0: the text as it is
    bool padded = true;
    std::string text;
  };
  std::vector<Item> items_;
};

}  // namespace headrace::pipeline
