#pragma once
// A small file that people and programs edit, such as the one of tokens.

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace headrace::env {

// Held from reading to writing: whoever opens one in the same folder waits until then, so that
// nothing that another wrote is lost. One thread.
class EditedFile {
 public:
  // Follows links. A file that is not there has no text. Errors: kNotFound when there is no such
  // folder, or a link leads nowhere; kIoError.
  static base::Result<std::unique_ptr<EditedFile>> Open(const std::string& path);
  virtual ~EditedFile() = default;
  // As it was when it was opened.
  virtual const std::string& text() const = 0;
  // Whole or not at all, and durable. Its owner, group and mode stay; a new one is for its owner
  // alone. Errors: kStorageFull; kIoError, also when its owner can't be kept.
  virtual base::Result<void> Replace(std::string_view text) = 0;
};

}  // namespace headrace::env
