#pragma once
// What an engine proves itself with: a certificate and its key, read from files at the start and
// again whenever they change. New connections get what is in force; open ones keep theirs.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "env/clock.h"
#include "env/files.h"
#include "protocols/tls_channel.h"

namespace headrace::protocols {

// Paths.
struct TlsFiles {
  std::string certificate;
  std::string key;
  std::string client_ca;  // empty: clients show no certificate
};

inline constexpr uint64_t kTlsFileBytesMax = 1U << 20;
inline constexpr std::chrono::hours kExpiryNotice{14 * 24};  // a certificate that ends sooner

// Thread-safe.
class TlsIdentity {
 public:
  // Whether anybody on this machine may read a file (env/file_rights.h). Empty: not looked at.
  using OthersMayRead = std::function<base::Result<bool>(const std::string& path)>;
  // Errors, each with file=: those of env::Files; kInvalidInput for what can't be used (no
  // certificate, another's key, encrypted, expired, not valid yet); kFailedPrecondition for a key
  // that others may read. They say what to do.
  static base::Result<std::unique_ptr<TlsIdentity>> Open(env::Files& files, env::Clock& clock,
                                                         TlsFiles paths,
                                                         OthersMayRead others_may_read = {});
  // Reads the files again: true when there is something new, which is in force from now on. After
  // an error what was in force stays.
  base::Result<bool> Reload();

  TlsContextRef context() const;
  // What context() was made of, for libraries that speak TLS themselves.
  TlsTexts texts() const;
  bool asks_clients() const { return !paths_.client_ca.empty(); }
  const TlsFiles& paths() const { return paths_; }

  struct Figures {
    TlsCertificate certificate;
    base::Duration left{0};  // of its validity; negative once it is over
    uint64_t loaded = 0;     // pairs so far: 1 since the start
    std::string problem;     // why the files are not what is in force; empty when they are
  };
  Figures figures() const;

 private:
  TlsIdentity(env::Files& files, env::Clock& clock, TlsFiles paths, OthersMayRead others_may_read)
      : files_(files),
        clock_(clock),
        paths_(std::move(paths)),
        others_may_read_(std::move(others_may_read)) {}
  base::Result<TlsTexts> Read() const;
  base::Result<std::string> ReadOne(const std::string& path) const;
  base::Result<bool> Take();
  base::Result<TlsContextRef> Make(const TlsTexts& texts) const;

  env::Files& files_;
  env::Clock& clock_;
  const TlsFiles paths_;
  const OthersMayRead others_may_read_;
  mutable std::mutex mutex_;
  TlsContextRef context_;
  TlsTexts texts_;
  uint64_t loaded_ = 0;
  std::string problem_;
};

}  // namespace headrace::protocols
