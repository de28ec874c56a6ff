#include "access/scope.h"

#include <algorithm>
#include <array>
#include <optional>

namespace headrace::access {
namespace {

constexpr std::array kVerbs = {Verb::kRead, Verb::kPush, Verb::kWatch, Verb::kAdmin};
constexpr std::string_view kRestricted = "restricted";

std::optional<Verb> VerbNamed(std::string_view name) {
  for (const Verb verb : kVerbs)
    if (NameOf(verb) == name) return verb;
  return std::nullopt;
}

base::Error NoScope(std::string_view part) {
  return {base::ErrorCode::kInvalidInput,
          "`" + std::string(part) +
              "` is no scope: write read, read:VIEW_OR_SERVICE, push, push:STREAM, watch, admin or "
              "restricted, with commas between"};
}

}  // namespace

std::string_view NameOf(Verb verb) {
  switch (verb) {
    case Verb::kRead: return "read";
    case Verb::kPush: return "push";
    case Verb::kWatch: return "watch";
    case Verb::kAdmin: return "admin";
  }
  return "admin";
}

base::Result<Scope> Scope::Parse(std::string_view text) {
  Scope scope;
  while (true) {
    const size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const size_t colon = part.find(':');
    const auto verb = VerbNamed(part.substr(0, colon));
    const std::string_view name =
        colon == std::string_view::npos ? std::string_view("*") : part.substr(colon + 1);
    const bool named = colon != std::string_view::npos;
    if (part == kRestricted) {
      scope.restricted_ = true;
    } else if (!verb || name.empty() || (named && (verb == Verb::kWatch || verb == Verb::kAdmin))) {
      return base::Fail(NoScope(part));
    } else {
      scope.grants_.push_back({*verb, name == "*" ? std::string() : std::string(name)});
    }
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  if (scope.grants_.empty()) return base::Fail(NoScope(text));
  return scope;
}

std::string Scope::ToString() const {
  std::string text;
  for (const Grant& grant : grants_) {
    text += text.empty() ? "" : ",";
    text += NameOf(grant.verb);
    if (!grant.name.empty()) text += ":" + grant.name;
  }
  if (restricted_) text += "," + std::string(kRestricted);
  return text;
}

bool Scope::Allows(Verb verb, std::string_view name) const {
  return std::ranges::any_of(grants_, [&](const Grant& grant) {
    return grant.verb == Verb::kAdmin ||
           (grant.verb == verb && (grant.name.empty() || grant.name == name));
  });
}

bool Scope::AllowsSome(Verb verb) const {
  return std::ranges::any_of(grants_, [&](const Grant& grant) {
    return grant.verb == Verb::kAdmin || grant.verb == verb;
  });
}

bool Scope::AllowsAll(Verb verb) const {
  return std::ranges::any_of(grants_, [&](const Grant& grant) {
    return grant.verb == Verb::kAdmin || (grant.verb == verb && grant.name.empty());
  });
}

}  // namespace headrace::access
