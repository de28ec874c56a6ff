#include "protocols/tls_channel.h"

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <ctime>
#include <vector>

namespace headrace::protocols {
namespace {

using base::Error;
using base::ErrorCode;
using base::Fail;

// Of TLS 1.2; those of 1.3 are all of this kind.
constexpr const char* kCiphers = "ECDHE+AESGCM:ECDHE+CHACHA20";
constexpr long kClientChainBytesMax = 16L << 10;  // certificates that a client shows
constexpr unsigned char kSessionContext[] = "headrace";

template <auto Free>
struct Freeing {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
using CtxPtr = std::unique_ptr<SSL_CTX, Freeing<SSL_CTX_free>>;
using SslPtr = std::unique_ptr<SSL, Freeing<SSL_free>>;
using BioPtr = std::unique_ptr<BIO, Freeing<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Freeing<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freeing<EVP_PKEY_free>>;

// The newest reason that the library has, which is the most particular one; forgets all.
std::string TakeReason() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "no reason given" : reason;
}

BioPtr TextBio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// Instead of asking at the terminal.
int NoPassphrase(char* /*out*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return 0;
}

base::Timestamp TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return {static_cast<int64_t>(timegm(&parts)) * 1'000'000};
}

std::string SubjectOf(const X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253);
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &text);
  return {text, static_cast<size_t>(std::max(size, 0L))};
}

base::Result<std::vector<X509Ptr>> ReadCertificates(const std::string& text) {
  const BioPtr bio = TextBio(text);
  std::vector<X509Ptr> found;
  while (X509Ptr next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    found.push_back(std::move(next));
  const unsigned long last = ERR_peek_last_error();
  const bool ended =
      ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  const std::string reason = TakeReason();
  if (!found.empty() && ended) return found;
  if (text.find("PRIVATE KEY-----") != std::string::npos && found.empty())
    return Fail(ErrorCode::kInvalidInput,
                "the file has a private key and no certificate: are certificate and key swapped?");
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("no certificate in PEM can be read from it ({}): it begins with "
                          "-----BEGIN CERTIFICATE-----",
                          reason));
}

base::Result<KeyPtr> ReadKey(const std::string& text) {
  const BioPtr bio = TextBio(text);
  bool asked = false;
  KeyPtr key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, &asked));
  if (key) return key;
  const std::string reason = TakeReason();
  if (asked)
    return Fail(ErrorCode::kInvalidInput,
                "the key is encrypted, and nobody is there to be asked for its passphrase: write "
                "it without one (openssl pkey -in OLD -out NEW), readable by this user alone");
  return Fail(ErrorCode::kInvalidInput,
              fmt::format("no private key in PEM can be read from it ({})", reason));
}

class Context final : public TlsContext {
 public:
  explicit Context(const SSL_METHOD* method) : ctx_(SSL_CTX_new(method)) {
    HR_CHECK(ctx_ != nullptr, "OpenSSL makes a context");
    SSL_CTX_set_min_proto_version(ctx(), TLS1_2_VERSION);
    HR_CHECK(SSL_CTX_set_cipher_list(ctx(), kCiphers) == 1, "OpenSSL knows these ciphers");
    SSL_CTX_set_options(
        ctx(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    // An idle connection holds no buffers.
    SSL_CTX_set_mode(ctx(), SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ctx(), SSL_SESS_CACHE_OFF);
  }
  const TlsCertificate& certificate() const override { return certificate_; }
  SSL_CTX* ctx() const { return ctx_.get(); }

  // The own certificate with its key.
  base::Result<void> UsePair(const TlsTexts& texts) {
    auto chain = ReadCertificates(texts.certificate);
    if (!chain) return Fail(Error(chain.error()).With("of", "certificate"));
    auto key = ReadKey(texts.key);
    if (!key) return Fail(Error(key.error()).With("of", "key"));
    X509* own = chain->front().get();
    if (X509_check_private_key(own, key->get()) != 1) {
      ERR_clear_error();
      return Fail(Error(ErrorCode::kInvalidInput,
                        "the key is not that of the certificate (of the first one, when there are "
                        "several): the certificate of the engine comes first, those of its CA "
                        "after it")
                      .With("of", "key"));
    }
    if (SSL_CTX_use_certificate(ctx(), own) != 1 || SSL_CTX_use_PrivateKey(ctx(), key->get()) != 1)
      return Fail(Error(ErrorCode::kInvalidInput,
                        fmt::format("the certificate can't be used: {}", TakeReason()))
                      .With("of", "certificate"));
    for (size_t i = 1; i < chain->size(); ++i) SSL_CTX_add1_chain_cert(ctx(), (*chain)[i].get());
    certificate_ = {.subject = SubjectOf(own),
                    .not_before = TimeOf(X509_get0_notBefore(own)),
                    .not_after = TimeOf(X509_get0_notAfter(own))};
    return {};
  }
  base::Result<void> UseCa(const std::string& text) {
    auto certificates = ReadCertificates(text);
    if (!certificates) return Fail(Error(certificates.error()).With("of", "ca"));
    for (const X509Ptr& each : *certificates) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx()), each.get());
      SSL_CTX_add_client_CA(ctx(), each.get());
    }
    return {};
  }

 private:
  CtxPtr ctx_;
  TlsCertificate certificate_;
};

// Chooses the protocol of the channel among those that the client names.
int ChooseAlpn(SSL* ssl, const unsigned char** out, unsigned char* size, const unsigned char* in,
               unsigned int in_size, void* /*unused*/) {
  const auto* wanted = static_cast<const std::string*>(SSL_get_app_data(ssl));
  if (wanted->empty()) return SSL_TLSEXT_ERR_NOACK;
  for (unsigned int at = 0; at < in_size; at += 1U + in[at]) {
    const std::string_view name(reinterpret_cast<const char*>(in + at + 1),
                                std::min<size_t>(in[at], in_size - at - 1));
    if (name != *wanted) continue;
    *out = in + at + 1;
    *size = in[at];
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_ALERT_FATAL;
}

class Channel final : public TlsChannel {
 public:
  Channel(TlsContextRef context, std::string alpn)
      : context_(std::move(context)),
        alpn_(std::move(alpn)),
        ssl_(SSL_new(static_cast<const Context&>(*context_).ctx())) {
    HR_CHECK(ssl_ != nullptr, "OpenSSL makes a connection");
    SSL_set_app_data(ssl_.get(), &alpn_);
    BIO* bio = BIO_new(Method());
    HR_CHECK(bio != nullptr, "OpenSSL makes a BIO");
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
  }

  void BeServer() { SSL_set_accept_state(ssl_.get()); }
  void BeClientOf(const std::string& host) {
    host_ = host;
    if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), host.c_str()) != 1) {
      SSL_set1_host(ssl_.get(), host.c_str());
      SSL_set_tlsext_host_name(ssl_.get(), host.c_str());
    }
    SSL_set_connect_state(ssl_.get());
  }

  void Supply(std::span<const uint8_t> bytes) override { in_ = bytes; }
  std::span<const uint8_t> unread() const override { return in_; }
  Step Handshake() override {
    ERR_clear_error();  // of others on this thread
    return StepOf(SSL_do_handshake(ssl_.get()));
  }
  Step Read(std::span<uint8_t> out, size_t& count) override {
    count = 0;
    ERR_clear_error();
    return StepOf(SSL_read_ex(ssl_.get(), out.data(), out.size(), &count));
  }
  Step Write(std::span<const uint8_t> bytes) override {
    if (bytes.empty()) return Step::kDone;
    size_t count = 0;
    ERR_clear_error();
    return StepOf(SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &count));
  }
  void End() override {
    if (SSL_is_init_finished(ssl_.get()) == 1) SSL_shutdown(ssl_.get());
    ERR_clear_error();
  }
  std::string TakeOutput() override { return std::exchange(out_, {}); }
  base::Error failure() const override { return failure_; }
  std::string version() const override { return SSL_get_version(ssl_.get()); }
  std::string cipher() const override { return SSL_get_cipher_name(ssl_.get()); }
  bool resumed() const override { return SSL_session_reused(ssl_.get()) == 1; }

 private:
  // A BIO that reads what was supplied and writes to out_: no buffers of its own.
  static BIO_METHOD* Method() {
    static BIO_METHOD* const kMethod = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "headrace");
      BIO_meth_set_read(made, [](BIO* bio, char* out, int size) {
        return static_cast<Channel*>(BIO_get_data(bio))->Give(bio, out, size);
      });
      BIO_meth_set_write(made, [](BIO* bio, const char* bytes, int size) {
        BIO_clear_retry_flags(bio);
        static_cast<Channel*>(BIO_get_data(bio))->out_.append(bytes, static_cast<size_t>(size));
        return size;
      });
      BIO_meth_set_ctrl(made, [](BIO*, int command, long, void*) -> long {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
      });
      return made;
    }();
    return kMethod;
  }
  int Give(BIO* bio, char* out, int size) {
    BIO_clear_retry_flags(bio);
    if (in_.empty()) {
      BIO_set_retry_read(bio);
      return -1;
    }
    const size_t count = std::min(in_.size(), static_cast<size_t>(size));
    std::copy_n(in_.begin(), count, out);
    in_ = in_.subspan(count);
    return static_cast<int>(count);
  }

  Step StepOf(int result) {
    if (result == 1) return Step::kDone;
    switch (SSL_get_error(ssl_.get(), result)) {
      case SSL_ERROR_WANT_READ: return Step::kWants;
      case SSL_ERROR_ZERO_RETURN: return Step::kEnded;
      default: break;
    }
    failure_ = FailureOf(ERR_peek_last_error());
    ERR_clear_error();
    return Step::kFailed;
  }

  base::Error FailureOf(unsigned long code) const {
    const int reason = ERR_GET_REASON(code);
    const char* text = ERR_reason_error_string(code);
    const std::string said = text == nullptr ? "no reason given" : text;
    const auto refused = [&](const std::string& message) {
      return Error(ErrorCode::kFailedPrecondition, message).With("tls", said);
    };
    switch (reason) {
      case SSL_R_CERTIFICATE_VERIFY_FAILED: return NotBelieved();
      case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
      case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
      case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
        return refused("the other side does not believe our certificate");
      case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
        return refused("the other side says that our certificate has expired");
      case SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED:
      case SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE:
        return refused("the other side refuses us: it may ask for a client certificate");
      case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
        return refused("the client showed no certificate");
      case SSL_R_WRONG_VERSION_NUMBER:
      case SSL_R_HTTP_REQUEST:
      case SSL_R_PACKET_LENGTH_TOO_LONG:
        return Error(ErrorCode::kUnavailable, "the other side speaks no TLS").With("tls", said);
      default: return Error(ErrorCode::kUnavailable, "the TLS connection failed").With("tls", said);
    }
  }
  // The peer's certificate was looked at, and is not good enough.
  base::Error NotBelieved() const {
    const long verdict = SSL_get_verify_result(ssl_.get());
    const std::string said = X509_verify_cert_error_string(verdict);
    const auto error = [&](const std::string& message) {
      return Error(ErrorCode::kFailedPrecondition, message).With("tls", said);
    };
    if (SSL_is_server(ssl_.get()) == 1) return error("the client's certificate is not believed");
    switch (verdict) {
      case X509_V_ERR_HOSTNAME_MISMATCH:
      case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return error(
            fmt::format("the server's certificate is not for {}: connect to a name that "
                        "it has, or give the server one that has this name",
                        host_));
      case X509_V_ERR_CERT_HAS_EXPIRED: return error("the server's certificate has expired");
      case X509_V_ERR_CERT_NOT_YET_VALID:
        return error("the server's certificate is not valid yet: is a clock wrong?");
      default:
        return error(
            "the server's certificate is of an unknown issuer: say whom to believe with "
            "--tls-ca FILE");
    }
  }

  TlsContextRef context_;
  const std::string alpn_;
  std::string host_;
  std::span<const uint8_t> in_;
  std::string out_;
  base::Error failure_{ErrorCode::kInternal, "nothing has failed"};
  SslPtr ssl_;  // goes first: it writes through the others
};

}  // namespace

base::Result<TlsContextRef> MakeServerTls(const TlsTexts& texts) {
  ERR_clear_error();
  auto context = std::make_shared<Context>(TLS_server_method());
  HR_TRY_VOID(context->UsePair(texts));
  SSL_CTX* const ctx = context->ctx();
  SSL_CTX_set_alpn_select_cb(ctx, ChooseAlpn, nullptr);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_session_id_context(ctx, kSessionContext, sizeof(kSessionContext));
  SSL_CTX_set_max_cert_list(ctx, kClientChainBytesMax);
  if (!texts.peer_ca.empty()) {
    HR_TRY_VOID(context->UseCa(texts.peer_ca));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  ERR_clear_error();
  return context;
}

base::Result<TlsContextRef> MakeClientTls(const TlsTexts& texts) {
  ERR_clear_error();
  auto context = std::make_shared<Context>(TLS_client_method());
  if (!texts.certificate.empty()) HR_TRY_VOID(context->UsePair(texts));
  if (texts.peer_ca.empty()) {
    SSL_CTX_set_default_verify_paths(context->ctx());
  } else {
    HR_TRY_VOID(context->UseCa(texts.peer_ca));
  }
  SSL_CTX_set_verify(context->ctx(), SSL_VERIFY_PEER, nullptr);
  ERR_clear_error();
  return context;
}

std::unique_ptr<TlsChannel> TlsChannel::Accept(TlsContextRef context, std::string alpn) {
  auto channel = std::make_unique<Channel>(std::move(context), std::move(alpn));
  channel->BeServer();
  return channel;
}

std::unique_ptr<TlsChannel> TlsChannel::Connect(TlsContextRef context, const std::string& host) {
  auto channel = std::make_unique<Channel>(std::move(context), "");
  channel->BeClientOf(host);
  return channel;
}

}  // namespace headrace::protocols
