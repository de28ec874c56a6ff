#include "access/access_list.h"

#include <algorithm>

#include "base/hex.h"

namespace headrace::access {
namespace {

using base::ErrorCode;
using base::Fail;

constexpr std::string_view kDigestMark = "sha256:";

std::vector<std::string_view> Words(std::string_view line) {
  constexpr std::string_view kBlanks = " \t\r";
  std::vector<std::string_view> words;
  for (size_t at = line.find_first_not_of(kBlanks); at != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(kBlanks, at), line.size());
    words.push_back(line.substr(at, end - at));
    at = line.find_first_not_of(kBlanks, end);
  }
  return words;
}

base::Result<TokenDigest> ReadDigest(std::string_view text) {
  TokenDigest digest;
  const auto wrong = [] {
    return Fail(ErrorCode::kInvalidInput, "the digest is sha256: and 64 hexadecimal digits");
  };
  if (!text.starts_with(kDigestMark)) return wrong();
  text.remove_prefix(kDigestMark.size());
  if (text.size() != 2 * digest.size()) return wrong();
  for (size_t i = 0; i < digest.size(); ++i) {
    const int high = base::HexDigit(text[2 * i]);
    const int low = base::HexDigit(text[2 * i + 1]);
    if (high < 0 || low < 0) return wrong();
    digest[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return digest;
}

}  // namespace

const CallerRef& Nobody() {
  static const CallerRef kNobody = std::make_shared<const Caller>();
  return kNobody;
}

base::Result<void> CheckCallerName(std::string_view name) {
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
  };
  constexpr size_t kNameMax = 64;
  if (!name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, good)) return {};
  return Fail(ErrorCode::kInvalidInput,
              "a token's name has one to 64 letters, digits, `-`, `_` or `.`");
}

std::string AccessLine(std::string_view name, const Scope& scope, std::string_view token) {
  std::string line(name);
  line.append(" ").append(scope.ToString()).append(" ").append(kDigestMark);
  base::AppendHex(DigestOf(token), line);
  return line + "\n";
}

base::Result<std::unique_ptr<AccessList>> AccessList::Open(env::Files& files, std::string path) {
  auto list = std::unique_ptr<AccessList>(new AccessList(files, std::move(path)));
  HR_TRY_VOID(list->Reload());
  return list;
}

base::Result<std::vector<AccessList::Entry>> AccessList::Parse(std::string_view text) {
  std::vector<Entry> entries;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const size_t end = std::min(text.find('\n'), text.size());
    const std::vector<std::string_view> words = Words(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (words.empty() || words[0].starts_with('#')) continue;
    const auto read = [&]() -> base::Result<Entry> {
      if (words.size() != 3)
        return Fail(ErrorCode::kInvalidInput, "a line is: name, scopes, digest");
      HR_TRY_VOID(CheckCallerName(words[0]));
      HR_TRY(Scope scope, Scope::Parse(words[1]));
      HR_TRY(const TokenDigest digest, ReadDigest(words[2]));
      return Entry{digest,
                   std::make_shared<const Caller>(Caller{std::string(words[0]), std::move(scope)})};
    }();
    if (!read) return Fail(base::Error(read.error()).With("line", std::to_string(number)));
    for (const Entry& other : entries)
      if (other.caller->name == read->caller->name)
        return Fail(
            base::Error(ErrorCode::kInvalidInput, "two tokens are called " + other.caller->name)
                .With("line", std::to_string(number)));
    if (entries.size() == kTokensMax)
      return Fail(ErrorCode::kInvalidInput,
                  "more than " + std::to_string(kTokensMax) + " tokens: remove some");
    entries.push_back(*read);
  }
  return entries;
}

base::Result<void> AccessList::Check(std::string_view text) {
  HR_TRY_VOID(Parse(text));
  return {};
}

base::Result<bool> AccessList::Reload() {
  HR_TRY(const env::FileFacts facts, files_.Facts(path_));
  if (facts.bytes > kTokenFileBytesMax)
    return Fail(base::Error(ErrorCode::kInvalidInput, "a token file has at most 1 MiB")
                    .With("file", path_));
  HR_TRY(std::vector<uint8_t> bytes, files_.ReadAll(path_));
  const std::lock_guard lock(mutex_);
  if (entries_ != nullptr && bytes == read_) return false;
  auto entries = Parse({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  if (!entries) return Fail(base::Error(entries.error()).With("file", path_));
  entries_ = std::make_shared<const std::vector<Entry>>(std::move(*entries));
  read_ = std::move(bytes);
  version_.fetch_add(1, std::memory_order_acq_rel);
  return true;
}

CallerRef AccessList::Find(std::string_view token) const {
  if (token.empty() || token.size() > kTokenBytesMax) return nullptr;
  const std::shared_ptr<const std::vector<Entry>> entries = [this] {
    const std::lock_guard lock(mutex_);
    return entries_;
  }();
  const TokenDigest digest = DigestOf(token);
  CallerRef found;
  for (const Entry& entry : *entries)
    if (SameDigest(entry.digest, digest)) found = entry.caller;
  return found;
}

const CallerRef& ShownToken::Who(std::string_view token) {
  if (token != token_ || version_ == 0) {
    token_ = token.substr(0, kTokenBytesMax + 1);
    version_ = 0;
  }
  return Who();
}

const CallerRef& ShownToken::Who() {
  const uint64_t now = list_.version();
  if (now != version_) {
    caller_ = list_.Find(token_);
    version_ = now;
  }
  return caller_;
}

}  // namespace headrace::access
