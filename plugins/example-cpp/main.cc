// A probe for the racks of the made-up maker Aldane Medical, in C++ and without a line of the Go SDK: the contract
// between an agent and a plugin is proto/probe/v1/probe.proto and go-plugin's handshake. It is one static file,
// because a confined plugin sees no libraries.
#include <grpcpp/grpcpp.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "handshake.h"
#include "probe/v1/probe.grpc.pb.h"

namespace probev1 = primum::probe::v1;
using grpc::Status;
using grpc::StatusCode;

namespace {

const char kKind[] = "tcp.aldane.status";
const std::string kUnit = "01", kNumber = "001";

unsigned char Check(const std::string& text) {
  unsigned char sum = 0;
  for (unsigned char c : text) sum ^= c;
  return sum;
}

// A request is STX, unit, letter and text, ETX, and the exclusive or of unit and letter.
std::string Request(const std::string& letter, const std::string& text) {
  return "\x02" + kUnit + letter + text + "\x03" + std::string(1, static_cast<char>(Check(kUnit + letter)));
}

// A reply is STX, unit, letter and fields, ETX, and the exclusive or of all text. Nothing for any other octets.
std::optional<std::vector<std::string>> Fields(const std::string& frame, const std::string& letter) {
  if (frame.size() < 6 || frame[0] != '\x02' || frame[frame.size() - 2] != '\x03') return std::nullopt;
  const std::string text = frame.substr(1, frame.size() - 3);
  if (static_cast<unsigned char>(frame.back()) != Check(text) || text.rfind(kUnit + letter, 0) != 0) return std::nullopt;
  std::vector<std::string> out(1);
  for (char c : text.substr(kUnit.size() + letter.size())) {
    if (c == ';') {
      out.emplace_back();
    } else if (c >= 0x20 && c <= 0x7e) {  // what the device says is shown to people
      out.back() += c;
    } else {
      return std::nullopt;
    }
  }
  for (const std::string& f : out) {
    if (f.empty() || f.size() > 255) return std::nullopt;
  }
  return out;
}

bool Only(const std::string& s, const char* set) { return s.find_first_not_of(set) == std::string::npos; }

void Describe(probev1::Description* d) {
  d->set_name("aldane-cpp");
  d->set_version("0.1.0");
  d->add_kinds(kKind);
  probev1::Declaration* state = d->add_attributes();
  state->set_name("aldane.state");
  state->set_kind(probev1::Declaration::KIND_CODE);
  state->set_max_length(8);
  probev1::Declaration* hours = d->add_attributes();
  hours->set_name("aldane.hours");
  hours->set_kind(probev1::Declaration::KIND_NUMBER);
  hours->set_unit("h");
  hours->set_max_length(6);
}

bool ReadIdentity(const std::string& frame, probev1::Result* result) {
  const auto f = Fields(frame, "I");
  if (!f || f->size() != 3) return false;
  const char* names[] = {"model", "version", "serial"};
  for (int i = 0; i < 3; i++) {
    probev1::Fact* fact = result->add_facts();
    fact->set_field(names[i]);
    fact->set_value((*f)[i]);
    fact->set_origin("identity " + std::to_string(i + 1));
  }
  return true;
}

bool ReadStatus(const std::string& frame, probev1::Result* result) {
  const auto f = Fields(frame, "S");
  if (!f || f->size() != 3 || (*f)[0] != kNumber || (*f)[1].size() > 8 || !Only((*f)[1], "ABCDEFGHIJKLMNOPQRSTUVWXYZ") ||
      (*f)[2].size() != 6 || !Only((*f)[2], "0123456789")) {
    return false;
  }
  const char* names[] = {"aldane.state", "aldane.hours"};
  for (int i = 0; i < 2; i++) {
    probev1::Attribute* a = result->add_attributes();
    a->set_name(names[i]);
    a->set_value((*f)[i + 1]);
  }
  return true;
}

class Probe final : public probev1::Probe::Service {
  using Stream = grpc::ServerReaderWriter<probev1::PluginFrame, probev1::HostFrame>;

  // Run is one stream: a description, or one conversation.
  Status Run(grpc::ServerContext*, Stream* stream) override {
    probev1::HostFrame first;
    if (!stream->Read(&first)) return Order();
    probev1::PluginFrame out;
    if (first.has_describe()) {
      Describe(out.mutable_description());
      stream->Write(out);
      return Status::OK;
    }
    if (!first.has_start()) return Order();
    if (!first.start().has_vendor() || first.start().vendor().kind() != kKind) return {StatusCode::UNIMPLEMENTED, "another question"};
    probev1::Result* result = out.mutable_result();
    result->set_status(probev1::Result::STATUS_ANSWERED);
    const std::string messages[] = {Request("I", ""), Request("S", kNumber)};
    for (int i = 0; i < 2; i++) {
      probev1::PluginFrame ask;
      ask.mutable_send()->set_message(messages[i]);
      probev1::HostFrame in;
      if (!stream->Write(ask) || !stream->Read(&in)) return Order();
      if (in.has_closed()) {
        result->set_status(probev1::Result::STATUS_NO_REPLY);
        result->set_detail("the conversation was closed before its end");
        break;
      }
      if (!in.has_reply()) return Order();
      const std::string& frame = in.reply().message();
      if (i == 0 ? !ReadIdentity(frame, result) : !ReadStatus(frame, result)) {
        result->set_status(probev1::Result::STATUS_MALFORMED);
        result->set_detail("the reply is not a whole frame of this unit");
        break;
      }
    }
    stream->Write(out);
    return Status::OK;
  }

  static Status Order() { return {StatusCode::FAILED_PRECONDITION, "a frame that has no place here"}; }
};

}  // namespace

int main() {
  const char* cookie = std::getenv("PRIMUM_PROBE");
  const char* client = std::getenv("PLUGIN_CLIENT_CERT");
  if (cookie == nullptr || std::string(cookie) != "5b0f9c0e-first-do-no-harm" || client == nullptr) {
    std::fputs("This is a probe; an agent starts it.\n", stderr);
    return 1;
  }
  const std::optional<handshake::Certificate> own = handshake::MakeCertificate();
  if (!own) return 1;
  grpc::SslServerCredentialsOptions tls(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  tls.pem_root_certs = client;
  tls.pem_key_cert_pairs.push_back({own->key_pem, own->cert_pem});

  Probe probe;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:probe.sock", grpc::SslServerCredentials(tls));
  builder.RegisterService(&probe);
  builder.SetSyncServerOption(grpc::ServerBuilder::NUM_CQS, 1);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, 2);
  builder.SetMaxReceiveMessageSize(1 << 20);
  grpc::ResourceQuota quota("probe");
  quota.SetMaxThreads(12);  // the sandbox gives 32
  builder.SetResourceQuota(quota);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  // Versions of go-plugin and of the contract, where we listen, how we speak, and who we are.
  std::printf("1|1|unix|probe.sock|grpc|%s\n", own->der_base64.c_str());
  std::fflush(stdout);
  server->Wait();
}
