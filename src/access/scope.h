#pragma once
// What a token may do: verbs, each for some names or for all.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace headrace::access {

enum class Verb : uint8_t {
  kRead,   // features of a view or a service, and what those are
  kPush,   // events into a stream
  kWatch,  // figures: status, metrics
  kAdmin,  // everything but restricted values: definitions, dead letters; the other verbs, for all
};
std::string_view NameOf(Verb verb);  // "read"

// Written "read:scoring,read:card,push:*,watch,restricted": a verb without a name is for all names.
// `restricted` lets the others see values of restricted columns. A value; the default one may do
// nothing.
class Scope {
 public:
  // Errors: kInvalidInput.
  static base::Result<Scope> Parse(std::string_view text);
  std::string ToString() const;

  bool Allows(Verb verb, std::string_view name) const;
  bool AllowsSome(Verb verb) const;  // of whatever name
  bool AllowsAll(Verb verb) const;
  // Of all names, restricted values too.
  bool ReadsEverything() const { return AllowsAll(Verb::kRead) && restricted_; }
  bool restricted() const { return restricted_; }

 private:
  struct Grant {
    Verb verb;
    std::string name;  // empty: all
  };
  std::vector<Grant> grants_;
  bool restricted_ = false;
};

}  // namespace headrace::access
