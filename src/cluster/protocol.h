// What worker and server say to each other, as described structs over HTTP and JSON.
//
//   POST /cluster/v1/join       JoinRequest   → Membership   (with a join token, no certificate)
//   POST /cluster/v1/renew      RenewRequest  → Membership
//   POST /cluster/v1/register   Worker        → Registered
//   GET  /cluster/v1/assignments              → {"items": [Assignment], "revision": N}
//   GET  /cluster/v1/watch?kinds=assignment,pack_request,file_request&since=N (server-sent events)
//   POST /cluster/v1/report     WorkerReport  → {}
//   GET  /cluster/v1/peers?files=KEY          → Peers   (for files that the worker needs)
//   POST /cluster/v1/peers/check PeerWish     → {}      (of the worker that is asked for files)
//   GET  /cluster/v1/peers/{worker}/{key}[/{index}]     (as below, of the server's own machine)
//
// Who asks is what the certificate says: a worker gets its own duties only.
//
// Between workers, by the proxy of the one that is asked:
//   GET  /peer/v1/files/{key}                 → FilesOffer
//   GET  /peer/v1/files/{key}/{index}           the content of a file, or a range of it
#pragma once

#include "base/describe.h"
#include "model/instance.h"
#include "model/repository_files.h"
#include "model/worker.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::cluster {

// Where the server listens for workers of other machines, unless it is told otherwise.
inline constexpr std::uint16_t kServerPort = 8443;

// In an answer of a worker's proxy: no engine saw the request, another one may have it.
inline constexpr std::string_view kUnreachedHeader = "x-berth-unreached";

// By these the proxy tells its agent which worker's certificate it was shown.
inline constexpr std::string_view kPeerNameHeader = "x-berth-peer-name";
inline constexpr std::string_view kPeerSerialHeader = "x-berth-peer-serial";

// How the server reaches a hub; a worker that has no settings of its own does as well.
struct HubAccess {
  model::Hub hub = model::Hub::hugging_face;
  std::string endpoint;
  std::string token;  // empty: nobody's
};
BOOST_DESCRIBE_STRUCT(HubAccess, (), (hub, endpoint, token))
inline constexpr FieldInfo kHubAccessFields[] = {
    {.name = "token", .text = "of an account there", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const HubAccess*) { return kHubAccessFields; }

struct JoinRequest {
  std::string worker;   // the name that it wants
  std::string version;  // of Berth
  std::string request;  // for a certificate: PKCS #10, PEM
};
BOOST_DESCRIBE_STRUCT(JoinRequest, (), (worker, version, request))

struct RenewRequest {
  std::string request;
};
BOOST_DESCRIBE_STRUCT(RenewRequest, (), (request))

// What a worker is in its cluster. The times are durations by the server's clock, since the
// worker's may be wrong.
struct Membership {
  std::string cluster;
  std::string worker;
  std::string certificate;       // PEM: the worker's, then the authority's
  std::string authority;         // PEM
  std::int64_t valid_for = 0;    // seconds from now
  std::int64_t renew_after = 0;  // seconds from now
};
BOOST_DESCRIBE_STRUCT(Membership, (),
                      (cluster, worker, certificate, authority, valid_for, renew_after))

// What the server answers to a registration.
struct Registered {
  std::string name;
  std::uint64_t revision = 0;  // of the store: watch from here after listing
  std::vector<HubAccess> hubs;
  std::int64_t renew_after = 0;  // seconds from now, of the certificate that was shown
  bool keeps_packs = false;      // reports may leave out packs that are as before
};
BOOST_DESCRIBE_STRUCT(Registered, (), (name, revision, hubs, renew_after, keeps_packs))

// What a worker says of one member of an instance. The newest report of a generation counts.
struct InstanceReport {
  std::string instance;
  std::uint64_t generation = 1;
  std::uint32_t member = 0;
  model::InstanceState state = model::InstanceState::scheduled;
  std::string reason;              // for a person
  std::optional<double> progress;  // 0 to 1 of a long step
  std::uint16_t port = 0;
  std::vector<std::uint16_t> ports;  // leased for `attempt`, of a member of a gang
  std::optional<int> pid;            // of the engine
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::optional<model::EngineExit> last_exit;
  std::optional<Bytes> resident;  // memory that the engine's processes use now
  // What they use of each device's memory now, as far as it is known; of "cpu" without mapped
  // files, which the system can drop. Part of the devices' `used`.
  std::map<std::string, Bytes> device_memory;
  std::vector<std::string> warnings;
};
BOOST_DESCRIBE_STRUCT(InstanceReport, (),
                      (instance, generation, member, state, reason, progress, port, ports, pid,
                       attempt, failures, last_exit, resident, device_memory, warnings))

// Sent every few seconds, and at once when something changed.
struct WorkerReport {
  std::string worker;
  std::uint64_t sequence = 0;  // raised by one a report; an older one is dropped
  // Of the store, up to which this worker has taken its assignments in. A member that is not
  // reported by then has no process left, and nothing of it will be started.
  std::uint64_t revision = 0;
  std::vector<InstanceReport> instances;  // every member that this worker has, whatever its state
  std::vector<model::Device> devices;     // with what is used now
  std::vector<model::PackStatus> packs;
  // `packs` is left out, and as the last report that was taken or the registration had it. Only
  // for a server that keeps packs; refused with conflict where it has none.
  bool packs_as_before = false;
  std::vector<std::string> warnings;
  std::string address;                    // as Worker's; may change
  std::vector<model::FilesStatus> files;  // that somebody wants here
};
BOOST_DESCRIBE_STRUCT(WorkerReport, (),
                      (worker, sequence, revision, instances, devices, packs, packs_as_before,
                       warnings, address, files))

// A worker that may have files which another one needs.
struct Peer {
  std::string worker;
  std::string address;  // of its proxy; empty: it is reached through the server
};
BOOST_DESCRIBE_STRUCT(Peer, (), (worker, address))

struct Peers {
  std::vector<Peer> items;  // the likeliest first
};
BOOST_DESCRIBE_STRUCT(Peers, (), (items))

// Who wants to read files of a worker, by the certificate that was shown there. Refused with
// permission_denied unless that is one of a worker that needs them.
struct PeerWish {
  std::string name;
  std::string serial;
  std::string files;  // model::files_key
};
BOOST_DESCRIBE_STRUCT(PeerWish, (), (name, serial, files))

// What a worker shares: the files of that key, in their order, all of them.
struct FilesOffer {
  std::uint64_t files = 0;
};
BOOST_DESCRIBE_STRUCT(FilesOffer, (), (files))

// What the server asks a worker that can measure (POST /worker/v1/judge, answered with a
// model::ComputeTable; its build is empty where the worker has no pack that can).
struct JudgeRequest {
  model::Deployment deployment;
  std::string backend;
  model::ModelProfile profile;
  bool devices = false;  // also for devices, whether this worker has them or not
  // Of a model on a hub, whose profile then has paths in the repository: the worker reads the
  // files' headers there, with its own settings. Absent: on this worker's disk, or at the addresses
  // that the profile has.
  std::optional<model::RepositoryFiles> files = {};
};
BOOST_DESCRIBE_STRUCT(JudgeRequest, (), (deployment, backend, profile, devices, files))

// What a worker's caches hold (GET /worker/v1/files).
struct CachedFiles {
  std::vector<model::CachedRepository> repositories;
  std::vector<model::FetchNote> fetched;  // by Berth itself
};
BOOST_DESCRIBE_STRUCT(CachedFiles, (), (repositories, fetched))

// The answer to POST /worker/v1/files/remove.
struct Freed {
  Bytes freed;
};
BOOST_DESCRIBE_STRUCT(Freed, (), (freed))

}  // namespace berth::cluster
