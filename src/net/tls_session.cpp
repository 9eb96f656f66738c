#include "net/tls_session.h"

#include <cerrno>
#include <cstdint>
#include <sys/socket.h>

#include <boost/asio/error.hpp>

namespace berth::net {
namespace {

using boost::system::error_code;

// A socket as a BIO; OpenSSL's own writes without MSG_NOSIGNAL, and a peer that is gone would end
// the program.
int socket_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int finish(BIO* bio, ssize_t count, int retry) {
  BIO_clear_retry_flags(bio);
  if (count < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(count);
}

int write_socket(BIO* bio, const char* data, int size) {
  const ssize_t count = ::send(socket_of(bio), data, static_cast<std::size_t>(size), MSG_NOSIGNAL);
  return finish(bio, count, BIO_FLAGS_WRITE);
}

int read_socket(BIO* bio, char* data, int size) {
  const ssize_t count = ::recv(socket_of(bio), data, static_cast<std::size_t>(size), 0);
  return finish(bio, count, BIO_FLAGS_READ);
}

long control_socket(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) {
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket");
    BIO_meth_set_write(made, &write_socket);
    BIO_meth_set_read(made, &read_socket);
    BIO_meth_set_ctrl(made, &control_socket);
    return made;
  }();
  return method;
}

Owned<BIO> socket_bio(int socket) {
  Owned<BIO> bio(BIO_new(socket_method()));
  BIO_set_data(bio.get(), reinterpret_cast<void*>(static_cast<std::intptr_t>(socket)));
  BIO_set_init(bio.get(), 1);
  return bio;
}

// Why the peer refused ours, by its alert (RFC 8446, section 6.2); empty for other failures.
std::string_view refusal_of(unsigned long code) {
  if (ERR_GET_LIB(code) != ERR_LIB_SSL) return {};
  switch (ERR_GET_REASON(code)) {
    case SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED:
      return "our certificate has expired";
    case SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED:
      return "our certificate was revoked";
    case SSL_R_TLSV1_ALERT_UNKNOWN_CA:
    case SSL_R_TLSV1_ALERT_DECRYPT_ERROR:
      return "our certificate is not of its authority";
    case SSL_R_SSLV3_ALERT_BAD_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE:
    case SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN:
    case SSL_R_TLSV1_ALERT_ACCESS_DENIED:
      return "it refuses our certificate";
    default:
      return {};
  }
}

}  // namespace

TlsSession::TlsSession(TlsPeer peer, int socket, Role role)
    : peer_(std::move(peer)), ssl_(SSL_new(peer_.tls->context())), role_(role) {
  BIO* bio = socket_bio(socket).release();
  SSL_set_bio(ssl_.get(), bio, bio);
  if (role == Role::server) {
    SSL_set_accept_state(ssl_.get());
  } else {
    SSL_set_connect_state(ssl_.get());
  }
}

Error TlsSession::handshake_error() const {
  const unsigned long code = ERR_peek_error();
  const long verified = SSL_get_verify_result(ssl_.get());
  if (verified != X509_V_OK) {
    return make_error(ErrorCode::unauthenticated, "its certificate is not trusted: {}",
                      X509_verify_cert_error_string(verified));
  }
  if (const auto why = refusal_of(code); !why.empty()) {
    return make_error(ErrorCode::unauthenticated, "{}", why);
  }
  const bool other_protocol =
      ERR_GET_LIB(code) == ERR_LIB_SSL && (ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER ||
                                           ERR_GET_REASON(code) == SSL_R_HTTP_REQUEST);
  if (other_protocol) return make_error(ErrorCode::unavailable, "it does not speak TLS");
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return make_error(ErrorCode::unavailable, "TLS failed: {}",
                    reason == nullptr ? "the connection was closed" : reason);
}

TlsSession::Handshake TlsSession::handshake(Error& error) {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result != 1) {
    const int kind = SSL_get_error(ssl_.get(), result);
    if (kind == SSL_ERROR_WANT_READ) return Handshake::wants_read;
    if (kind == SSL_ERROR_WANT_WRITE) return Handshake::wants_write;
    error = handshake_error();
    ERR_clear_error();
    ended_ = true;
    return Handshake::failed;
  }
  done_ = true;
  if (const X509* certificate = SSL_get0_peer_certificate(ssl_.get())) {
    shown_ = std::make_shared<PeerCertificate>(
        PeerCertificate{.name = uri_name_of(certificate), .serial = serial_of(certificate)});
  }
  const bool other = role_ == Role::client && !peer_.name.empty() &&
                     (shown_ == nullptr || shown_->name != peer_.name);
  if (!other) return Handshake::done;
  error = make_error(ErrorCode::unauthenticated, "it is {}, not {}",
                     shown_ == nullptr ? "nobody" : shown_->name, peer_.name);
  return Handshake::failed;
}

error_code TlsSession::code_of(int result) {
  const int kind = SSL_get_error(ssl_.get(), result);
  if (kind == SSL_ERROR_WANT_READ || kind == SSL_ERROR_WANT_WRITE) {
    return boost::asio::error::would_block;
  }
  ended_ = true;
  refusal_ = refusal_of(ERR_peek_error());
  if (kind == SSL_ERROR_ZERO_RETURN) return boost::asio::error::eof;
  return boost::asio::error::connection_reset;
}

std::size_t TlsSession::read(char* data, std::size_t size, error_code& error) {
  error = {};
  std::size_t all = 0;
  while (all < size) {
    ERR_clear_error();
    std::size_t count = 0;
    const int result = SSL_read_ex(ssl_.get(), data + all, size - all, &count);
    if (result != 1) {
      error = code_of(result);
      break;
    }
    all += count;
  }
  ERR_clear_error();
  if (all > 0) error = {};
  return all;
}

bool TlsSession::peek(error_code& error) {
  ERR_clear_error();
  char byte = 0;
  std::size_t count = 0;
  const int result = SSL_peek_ex(ssl_.get(), &byte, 1, &count);
  error = result == 1 ? error_code() : code_of(result);
  ERR_clear_error();
  return result == 1;
}

std::size_t TlsSession::write(const char* data, std::size_t size, error_code& error) {
  ERR_clear_error();
  std::size_t count = 0;
  const int result = SSL_write_ex(ssl_.get(), data, size, &count);
  error = result == 1 ? error_code() : code_of(result);
  ERR_clear_error();
  return result == 1 ? count : 0;
}

void TlsSession::end_sending() {
  if (!done_ || ended_) return;
  ERR_clear_error();
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

}  // namespace berth::net
