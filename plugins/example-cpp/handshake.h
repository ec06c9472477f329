// The certificate of go-plugin's AutoMTLS: made anew by each process, and told in its first line.
#pragma once

#include <optional>
#include <string>

namespace handshake {

struct Certificate {
  std::string key_pem, cert_pem;
  std::string der_base64;  // without padding, as go-plugin reads it
};

// MakeCertificate makes a key of P-256 and a certificate that it signs itself, for "localhost".
std::optional<Certificate> MakeCertificate();

}  // namespace handshake
