#pragma once
// Certificates for tests, made when they are needed.

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <string>

#include "protocols/tls_channel.h"

namespace headrace::protocols {

// A certificate and its key; its own CA, or signed by one.
class TestCertificate {
 public:
  struct Wish {
    std::string name = "localhost";  // also a DNS name; "127.0.0.1" is one of its addresses
    const TestCertificate* issuer = nullptr;
    long from_s = -3600;  // from now
    long until_s = 90L * 86'400;
  };
  explicit TestCertificate(const Wish& wish)
      : key_(EVP_EC_gen("P-256"), EVP_PKEY_free), certificate_(X509_new(), X509_free) {
    X509* const made = certificate_.get();
    static long serial = 0;
    X509_set_version(made, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    X509_gmtime_adj(X509_getm_notBefore(made), wish.from_s);
    X509_gmtime_adj(X509_getm_notAfter(made), wish.until_s);
    X509_NAME* const subject = X509_get_subject_name(made);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1,
                               0);
    const TestCertificate& issuer = wish.issuer == nullptr ? *this : *wish.issuer;
    X509_set_issuer_name(made, X509_get_subject_name(issuer.certificate_.get()));
    X509_set_pubkey(made, key_.get());
    Extend(NID_basic_constraints, wish.issuer == nullptr ? "critical,CA:TRUE" : "CA:FALSE");
    Extend(NID_subject_alt_name, "DNS:" + wish.name + ",IP:127.0.0.1");
    X509_sign(made, issuer.key_.get(), EVP_sha256());
  }

  std::string certificate() const {
    return Text([&](BIO* bio) { PEM_write_bio_X509(bio, certificate_.get()); });
  }
  std::string key() const {
    return Text([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key_.get(), nullptr, nullptr, 0, nullptr, nullptr);
    });
  }
  std::string encrypted_key() const {
    return Text([&](BIO* bio) {
      PEM_write_bio_PrivateKey(bio, key_.get(), EVP_aes_128_cbc(),
                               reinterpret_cast<const unsigned char*>("secret"), 6, nullptr,
                               nullptr);
    });
  }
  TlsTexts texts(const std::string& peer_ca = "") const {
    return {.certificate = certificate(), .key = key(), .peer_ca = peer_ca};
  }

 private:
  void Extend(int nid, const std::string& value) {
    X509_EXTENSION* const extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
    X509_add_ext(certificate_.get(), extension, -1);
    X509_EXTENSION_free(extension);
  }
  template <typename Write>
  static std::string Text(Write write) {
    BIO* const bio = BIO_new(BIO_s_mem());
    write(bio);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio, &bytes);
    std::string text(bytes, static_cast<size_t>(size));
    BIO_free(bio);
    return text;
  }

  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key_;
  std::unique_ptr<X509, void (*)(X509*)> certificate_;
};

}  // namespace headrace::protocols
