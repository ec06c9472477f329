#include "handshake.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <memory>
#include <vector>

namespace handshake {
namespace {

std::string Taken(BIO* bio) {
  char* data = nullptr;
  const long n = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(n));
}

bool Extend(X509* cert, int nid, const char* value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, cert, cert, nullptr, nullptr, 0);
  X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value);
  const bool ok = e != nullptr && X509_add_ext(cert, e, -1) == 1;
  X509_EXTENSION_free(e);
  return ok;
}

}  // namespace

std::optional<Certificate> MakeCertificate() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  const std::unique_ptr<X509, decltype(&X509_free)> cert(X509_new(), X509_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> key_bio(BIO_new(BIO_s_mem()), BIO_free), cert_bio(BIO_new(BIO_s_mem()), BIO_free);
  if (!key || !cert || !key_bio || !cert_bio) return std::nullopt;
  X509_NAME* name = X509_get_subject_name(cert.get());
  if (X509_set_version(cert.get(), 2) != 1 || ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1) != 1 ||
      X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(cert.get()), 10L * 365 * 24 * 3600) == nullptr || X509_set_pubkey(cert.get(), key.get()) != 1 ||
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0) != 1 ||
      X509_set_issuer_name(cert.get(), name) != 1 || !Extend(cert.get(), NID_basic_constraints, "critical,CA:TRUE") ||
      !Extend(cert.get(), NID_key_usage, "critical,digitalSignature,keyCertSign") || !Extend(cert.get(), NID_ext_key_usage, "serverAuth") ||
      !Extend(cert.get(), NID_subject_alt_name, "DNS:localhost") || X509_sign(cert.get(), key.get(), EVP_sha256()) == 0 ||
      PEM_write_bio_PrivateKey(key_bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 || PEM_write_bio_X509(cert_bio.get(), cert.get()) != 1) {
    return std::nullopt;
  }
  const int n = i2d_X509(cert.get(), nullptr);
  if (n <= 0) return std::nullopt;
  std::vector<unsigned char> der(static_cast<size_t>(n)), base64(4 * ((static_cast<size_t>(n) + 2) / 3) + 1);
  unsigned char* at = der.data();
  if (i2d_X509(cert.get(), &at) != n) return std::nullopt;
  std::string text(reinterpret_cast<char*>(base64.data()), static_cast<size_t>(EVP_EncodeBlock(base64.data(), der.data(), n)));
  while (!text.empty() && text.back() == '=') text.pop_back();
  return Certificate{Taken(key_bio.get()), Taken(cert_bio.get()), text};
}

}  // namespace handshake
