#include "protocols/tls_identity.h"

#include <utility>

namespace headrace::protocols {

using base::Error;
using base::ErrorCode;
using base::Fail;

namespace {

bool Same(const TlsTexts& one, const TlsTexts& other) {
  return one.certificate == other.certificate && one.key == other.key &&
         one.peer_ca == other.peer_ca;
}

}  // namespace

base::Result<std::unique_ptr<TlsIdentity>> TlsIdentity::Open(env::Files& files, env::Clock& clock,
                                                             TlsFiles paths,
                                                             OthersMayRead others_may_read) {
  auto identity = std::unique_ptr<TlsIdentity>(
      new TlsIdentity(files, clock, std::move(paths), std::move(others_may_read)));
  HR_TRY_VOID(identity->Take());
  return identity;
}

base::Result<std::string> TlsIdentity::ReadOne(const std::string& path) const {
  HR_TRY(const env::FileFacts facts, files_.Facts(path));
  if (facts.bytes > kTlsFileBytesMax)
    return Fail(
        Error(ErrorCode::kInvalidInput, "a file of TLS has at most 1 MiB").With("file", path));
  HR_TRY(const std::vector<uint8_t> bytes, files_.ReadAll(path));
  return std::string(bytes.begin(), bytes.end());
}

base::Result<TlsTexts> TlsIdentity::Read() const {
  TlsTexts texts;
  bool shown = false;
  if (others_may_read_) {
    HR_TRY(shown, others_may_read_(paths_.key));
  }
  if (shown)
    return Fail(Error(ErrorCode::kFailedPrecondition,
                      "everybody on this machine may read the private key: chmod 600 it, or 640 "
                      "with a group for those who may, and think about a new one")
                    .With("file", paths_.key));
  HR_TRY(texts.certificate, ReadOne(paths_.certificate));
  HR_TRY(texts.key, ReadOne(paths_.key));
  if (asks_clients()) {
    HR_TRY(texts.peer_ca, ReadOne(paths_.client_ca));
  }
  return texts;
}

base::Result<TlsContextRef> TlsIdentity::Make(const TlsTexts& texts) const {
  auto made = MakeServerTls(texts);
  if (!made) {
    Error error = made.error();
    const auto& context = error.context();
    const std::string of = context.empty() ? "" : context.front().second;
    const std::string& path = of == "key"  ? paths_.key
                              : of == "ca" ? paths_.client_ca
                                           : paths_.certificate;
    return Fail(std::move(error).With("file", path));
  }
  const TlsCertificate& certificate = (*made)->certificate();
  const base::Timestamp now = clock_.Wall();
  const auto invalid = [&](const std::string& why) {
    return Fail(Error(ErrorCode::kInvalidInput, why)
                    .With("file", paths_.certificate)
                    .With("valid_from", base::FormatTimestamp(certificate.not_before))
                    .With("valid_until", base::FormatTimestamp(certificate.not_after)));
  };
  if (certificate.not_after < now)
    return invalid("the certificate has expired: no client would believe it; get a new one");
  if (now < certificate.not_before)
    return invalid("the certificate is not valid yet: is this machine's clock right?");
  return made;
}

base::Result<bool> TlsIdentity::Take() {
  HR_TRY(TlsTexts texts, Read());
  {
    const std::lock_guard lock(mutex_);
    if (context_ != nullptr && Same(texts, texts_)) return false;
  }
  HR_TRY(TlsContextRef context, Make(texts));
  const std::lock_guard lock(mutex_);
  context_ = std::move(context);
  texts_ = std::move(texts);
  ++loaded_;
  return true;
}

base::Result<bool> TlsIdentity::Reload() {
  auto taken = Take();
  const std::lock_guard lock(mutex_);
  problem_ = taken ? std::string() : taken.error().ToString();
  return taken;
}

TlsContextRef TlsIdentity::context() const {
  const std::lock_guard lock(mutex_);
  return context_;
}

TlsTexts TlsIdentity::texts() const {
  const std::lock_guard lock(mutex_);
  return texts_;
}

TlsIdentity::Figures TlsIdentity::figures() const {
  const std::lock_guard lock(mutex_);
  const TlsCertificate& certificate = context_->certificate();
  return {.certificate = certificate,
          .left = base::Duration(certificate.not_after.us - clock_.Wall().us),
          .loaded = loaded_,
          .problem = problem_};
}

}  // namespace headrace::protocols
