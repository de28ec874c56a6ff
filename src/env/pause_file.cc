#include "env/pause_file.h"

#include <charconv>
#include <string_view>

#include <fmt/format.h>

namespace headrace::env {
namespace {

constexpr std::string_view kFirstLine = "headrace pause 1\n";
constexpr std::string_view kValid = "valid_until_boot_us ";
constexpr std::string_view kWhy = "why ";

std::string PathIn(const std::string& folder) { return folder + "/PAUSED"; }

base::Result<void> RemoveIfThere(Files& files, const std::string& path) {
  auto removed = files.Remove(path);
  if (!removed && removed.error().code() == base::ErrorCode::kNotFound) return {};
  return removed;
}

// Takes `text`'s next line if it begins with `name`; what follows the name.
std::optional<std::string_view> TakeLine(std::string_view& text, std::string_view name) {
  if (!text.starts_with(name)) return std::nullopt;
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view value = text.substr(name.size(), end - name.size());
  text.remove_prefix(end + 1);
  return value;
}

}  // namespace

base::Result<void> WritePauseNotice(Files& files, const std::string& data_folder,
                                    const std::optional<PauseNotice>& notice) {
  const std::string path = PathIn(data_folder);
  if (!notice) return RemoveIfThere(files, path);
  const std::string text = fmt::format(
      "{}{}{}\n{}{}\n", kFirstLine, kValid,
      std::chrono::duration_cast<std::chrono::microseconds>(notice->valid_until).count(), kWhy,
      notice->why);
  const std::string written = path + ".new";
  HR_TRY_VOID(RemoveIfThere(files, written));
  HR_TRY(const auto file, files.OpenForWriting(written, Files::Open::kCreateNew));
  HR_TRY_VOID(file->WriteAt(0, {reinterpret_cast<const uint8_t*>(text.data()), text.size()}));
  return files.Rename(written, path);
}

std::optional<PauseNotice> ReadPauseNotice(Files& files, const std::string& data_folder,
                                           MonotonicTime now) {
  const auto bytes = files.ReadAll(PathIn(data_folder));
  if (!bytes) return std::nullopt;
  std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  if (!text.starts_with(kFirstLine)) return std::nullopt;
  text.remove_prefix(kFirstLine.size());
  const auto valid = TakeLine(text, kValid);
  const auto why = TakeLine(text, kWhy);
  if (!valid || !why) return std::nullopt;
  int64_t micros = 0;
  const auto [end, error] = std::from_chars(valid->data(), valid->data() + valid->size(), micros);
  if (error != std::errc() || end != valid->data() + valid->size()) return std::nullopt;
  const MonotonicTime until = std::chrono::microseconds(micros);
  if (until <= now || until > now + 2 * kPauseNoticeValid) return std::nullopt;
  return PauseNotice{std::string(*why), until};
}

}  // namespace headrace::env
