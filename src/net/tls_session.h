// TlsSession: the TLS of one connection whose socket is non-blocking. Never waits: what it can not
// do yet is would_block. Internal to net.
#pragma once

#include "net/openssl.h"
#include "net/tls.h"

#include <cstddef>
#include <memory>
#include <string_view>

#include <boost/system/error_code.hpp>

namespace berth::net {

// Used on one thread only.
class TlsSession {
 public:
  enum class Role { server, client };

  // `socket` must outlive it. A client verifies that the peer is called `peer.name`.
  TlsSession(TlsPeer peer, int socket, Role role);

  enum class Handshake { done, wants_read, wants_write, failed };
  // One step of it; `error` is set where it failed: unauthenticated where one refuses the other's
  // certificate, unavailable for the rest.
  Handshake handshake(Error& error);

  // As the calls of a socket: would_block, eof (the peer ended it in order) or connection_reset,
  // also where it ended without saying so. `read` takes all that is there and fits.
  std::size_t read(char* data, std::size_t size, boost::system::error_code& error);
  // Whether a byte could be read, which stays where it is.
  bool peek(boost::system::error_code& error);
  // Sends one record at most. After would_block the next call must begin with the same bytes.
  std::size_t write(const char* data, std::size_t size, boost::system::error_code& error);
  // Tells the peer that nothing more comes.
  void end_sending();

  // No more is to be read: the peer has ended it, or it broke.
  [[nodiscard]] bool has_ended() const { return ended_; }
  // Where the peer refused our certificate, which shows at the first read: why; else empty.
  [[nodiscard]] std::string_view refusal() const { return refusal_; }
  // Of the peer, once the handshake is done; null where it showed none.
  [[nodiscard]] std::shared_ptr<const PeerCertificate> peer_certificate() const { return shown_; }

  static constexpr std::size_t kRecord = std::size_t{16} * 1024;

 private:
  boost::system::error_code code_of(int result);
  [[nodiscard]] Error handshake_error() const;

  TlsPeer peer_;
  Owned<SSL> ssl_;
  Role role_;
  bool done_ = false;
  bool ended_ = false;
  std::string_view refusal_;
  std::shared_ptr<const PeerCertificate> shown_;
};

}  // namespace berth::net
