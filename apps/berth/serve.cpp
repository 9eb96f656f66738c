// berth serve: the server with its gateway, and the worker of this machine.
#include "backends/backend.h"
#include "backends/environment.h"
#include "base/data_folder.h"
#include "base/files.h"
#include "base/ids.h"
#include "base/log.h"
#include "command.h"
#include "gateway/gateway.h"
#include "net/server.h"
#include "serve_settings.h"
#include "server/admin_api.h"
#include "server/certificate_watch.h"
#include "server/cluster_api.h"
#include "server/device_figures.h"
#include "server/file_figures.h"
#include "server/files_api.h"
#include "server/first_contact.h"
#include "server/inspect_api.h"
#include "server/local_worker.h"
#include "server/membership_api.h"
#include "server/models_api.h"
#include "server/openapi.h"
#include "server/peers_api.h"
#include "server/plan_api.h"
#include "server/rejudge.h"
#include "server/stream_api.h"
#include "server/worker_figures.h"
#include "server/worker_reach.h"
#include "signals.h"
#include "store/sqlite_store.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>
#include <thread>

#include <signal.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace berth::app {
namespace {

constexpr std::size_t kPoolThreads = 4;
constexpr std::size_t kPoolQueue = 1024;
constexpr std::chrono::seconds kStopGrace{10};
constexpr std::uint32_t kMostThreads = 4;
// The next start makes another one.
constexpr std::chrono::hours kLocalTokenLife{24 * 365};

struct ServeFlags {
  std::optional<std::string> config;
  std::optional<std::string> listen;
  std::optional<std::string> cluster_listen;
  bool insecure_http = false;
  bool no_worker = false;
  bool leave_engines = false;
  std::optional<std::string> log_level;
  std::vector<std::string> allow_env;
};

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<net::Endpoint> read_listen(const ServeSettings& settings) {
  auto listen = net::parse_endpoint(settings.listen, 8080);
  if (!listen) return fail(std::move(listen).error().with_field("listen"));
  if (!is_loopback(listen->host) && !settings.insecure_http) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "--listen {}: keys would cross the network unprotected. Put a TLS proxy "
                           "in front and listen on 127.0.0.1, or allow it with --insecure-http",
                           settings.listen)
                    .with_field("listen"));
  }
  return listen;
}

Result<ServeSettings> read_settings(const DataFolder& data, const ServeFlags& flags) {
  BERTH_TRY(ServeSettings settings, read_serve_settings(data, flags.config));
  if (flags.listen) settings.listen = *flags.listen;
  if (flags.cluster_listen) settings.cluster_listen = *flags.cluster_listen;
  if (flags.log_level) {
    settings.log_level =
        parse_enum<server::LogLevel>(*flags.log_level).value_or(settings.log_level);
  }
  settings.insecure_http = settings.insecure_http || flags.insecure_http;
  settings.allow_env.insert(settings.allow_env.end(), flags.allow_env.begin(),
                            flags.allow_env.end());
  BERTH_CHECK(backends::check_allowed(backends::builtin_backends(), settings.allow_env));
  if (settings.lost_after <= settings.suspect_after) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "lost_after ({} s) must be longer than suspect_after ({} s)",
                           settings.lost_after, settings.suspect_after)
                    .with_field("lost_after"));
  }
  settings.worker = settings.worker && !flags.no_worker;
  settings.leave_engines = settings.leave_engines || flags.leave_engines;
  if (settings.threads == 0) {
    settings.threads = std::clamp(std::thread::hardware_concurrency(), 1U, kMostThreads);
  }
  return settings;
}

server::LocalWorkerOptions worker_options(const DataFolder& data, const ServeSettings& settings) {
  server::LocalWorkerOptions options;
  const auto program = std::filesystem::read_symlink("/proc/self/exe");
  options.argv = {program.string(),
                  "worker",
                  "--local",
                  "--data",
                  data.root.string(),
                  "--log-level",
                  std::string(enum_name(settings.log_level)),
                  "--parent",
                  std::to_string(::getpid())};
  if (settings.leave_engines) options.argv.emplace_back("--leave-engines");
  if (settings.download_limit) {
    options.argv.emplace_back("--download-limit");
    options.argv.push_back(std::to_string(settings.download_limit->count));
  }
  options.argv.push_back(fmt::format("--keep-logs={}", settings.keep_logs));
  for (const auto& name : settings.allow_env) options.argv.push_back("--allow-env=" + name);
  return options;
}

// Every worker and every client is a connection or two; many systems begin with 1,024.
void allow_many_connections() {
  constexpr rlim_t wanted = 65'536;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0 || files.rlim_cur >= wanted) return;
  files.rlim_cur = std::min(files.rlim_max, wanted);
  if (::setrlimit(RLIMIT_NOFILE, &files) != 0) {
    spdlog::warn("the limit of open files stays as it is: {}", std::strerror(errno));
  }
}

void greet(const std::string& url, const DataFolder& data, const server::AdminKey& key) {
  std::printf("Berth %s serves on %s\n", BERTH_VERSION, url.c_str());
  if (key.created) {
    std::printf("API key: %s (kept in %s)\n", key.key.c_str(), data.admin_key().c_str());
  }
  std::printf("Go on in another terminal: berth run ./model.gguf \"Once upon a time\"\n");
  std::fflush(stdout);
}

// Waits for the end; SIGHUP reads the admin's key again.
void wait_for_end(const sigset_t& signals, const DataFolder& data, store::Store& store,
                  server::Access& access) {
  for (;;) {
    int signal = 0;
    if (sigwait(&signals, &signal) != 0) continue;
    if (signal != SIGHUP) return;
    const auto key = server::ensure_admin_key(data, store);
    const auto loaded = key ? access.reload() : Result<void>(fail(key.error()));
    if (!loaded)
      spdlog::error("the admin's key is as before: {}", loaded.error().to_string());
    else
      spdlog::info("the admin's key was read again");
  }
}

Result<void> serve(const DataFolder& data, const ServeSettings& settings) {
  BERTH_TRY(const net::Endpoint listen, read_listen(settings));
  auto cluster_listen = net::parse_endpoint(settings.cluster_listen, cluster::kServerPort);
  if (!cluster_listen) return fail(std::move(cluster_listen).error().with_field("cluster_listen"));
  if (!settings.cluster_advertise.empty()) {
    auto told = net::parse_endpoint(settings.cluster_advertise, cluster::kServerPort);
    if (!told) return fail(std::move(told).error().with_field("cluster_advertise"));
  }
  BERTH_CHECK(create_data_folder(data));
  auto lock = FileLock::try_acquire(data.server_lock());
  if (!lock) return fail(server::explain_taken(std::move(lock).error(), data));
  remove_unfinished_writes(data.root);
  start_logging("server", std::string(enum_name(settings.log_level)));
  allow_many_connections();
  const sigset_t signals = block_signals();

  BERTH_TRY(const auto store, store::open_sqlite(data.database()));
  BERTH_TRY(const auto admin_key, server::ensure_admin_key(data, *store));
  BERTH_TRY(const auto identity, server::ClusterIdentity::open(data, real_clock()));
  server::Memberships members(*store, *identity, real_clock());
  BERTH_CHECK(members.load());
  const auto peer_of = [&identity = *identity](const std::string& worker) {
    return identity.peer_of(worker);
  };
  const server::WorkerCaller caller(peer_of);
  server::Access access(*store);
  BERTH_CHECK(access.reload());
  net::ThreadPool pool(kPoolThreads, kPoolQueue);
  net::ThreadPool files_pool(kPoolThreads, kPoolQueue);
  server::WorkerRegistry workers(real_clock());
  const auto& backends = backends::builtin_backends();
  server::ControlLoop control(*store, workers, backends, real_clock(),
                              {.suspect_after = std::chrono::seconds(settings.suspect_after),
                               .lost_after = std::chrono::seconds(settings.lost_after),
                               .mass_loss_hold = std::chrono::seconds(settings.mass_loss_hold)});
  server::WatchStreams watches;
  std::stop_source ending;
  server::ClusterDoor door({.listen = *cluster_listen,
                            .advertise = settings.cluster_advertise,
                            .tls = [&identity = *identity] { return identity.tls(); }});
  server::ServerContext context{.store = *store,
                                .pool = pool,
                                .files_pool = files_pool,
                                .access = access,
                                .workers = workers,
                                .control = control,
                                .watches = watches,
                                .backends = backends,
                                .clock = real_clock(),
                                .data = data,
                                .version = BERTH_VERSION,
                                .started = real_clock().steady_now(),
                                .members = members,
                                .door = door,
                                .caller = caller,
                                .allowed_env = settings.allow_env,
                                .ending = ending.get_token()};
  gateway::Gateway gateway(*store, backends, access, real_clock(),
                           {.always_by_proxy = settings.engines_by_proxy, .peer_of = peer_of});
  gateway.add_figures([&workers] { return server::file_figures(workers); });
  gateway.add_figures(
      [&members, &identity = *identity] { return server::certificate_figures(identity, members); });
  gateway.add_figures([&workers] { return server::device_figures(workers); });
  gateway.add_figures([&control] { return server::worker_figures(control); });

  net::Router router;
  gateway.add_routes(router);
  server::add_model_routes(router, context);
  server::add_admin_routes(router, context);
  server::add_stream_routes(router, context);
  server::add_inspect_routes(router, context);
  server::add_plan_routes(router, context);
  server::add_files_routes(router, context);
  server::add_membership_routes(router, context);
  server::add_openapi_routes(router, context);
  BERTH_TRY(const auto api, net::Server::listen({.address = listen, .threads = settings.threads},
                                                std::move(router)));
  BERTH_TRY(const auto cluster, door.open_locally([&context] {
    net::Router routes;
    server::add_cluster_routes(routes, context);
    server::add_joining_routes(routes, context);
    server::add_peer_routes(routes, context);
    return routes;
  }));

  const std::string url = "http://" + net::to_string(api->address());
  BERTH_CHECK(
      server::write_server_info(data, {.pid = ::getpid(),
                                       .url = url,
                                       .cluster_url = "https://" + net::to_string(cluster),
                                       .version = BERTH_VERSION,
                                       .started_at = to_rfc3339(real_clock().system_now())}));
  BERTH_TRY(const auto local_token, members.create_token(kLocalTokenLife, true));
  BERTH_CHECK(server::write_local_token(data, local_token.text));
  BERTH_TRY(const bool has_remote, members.has_remote());
  if (has_remote) BERTH_CHECK(door.open());
  api->start();
  server::judge_when_possible(context);
  control.start();
  const server::WorkerReach reach(workers, [&control] { control.poke(); });
  const server::CertificateWatch certificates(*store, *identity, members, real_clock());
  greet(url, data, admin_key);
  {
    std::optional<server::LocalWorker> worker;
    if (settings.worker) worker.emplace(worker_options(data, settings));
    wait_for_end(signals, data, *store, access);
    spdlog::info("the server ends");
    ending.request_stop();
  }
  std::error_code ignored;
  std::filesystem::remove(data.server_info(), ignored);
  watches.end_all();
  api->stop(kStopGrace);
  door.stop(kStopGrace);
  return {};
}

int run(const CommonOptions& common, const ServeFlags& flags) {
  const auto result = [&]() -> Result<void> {
    BERTH_TRY(const DataFolder data, find_data_folder(common.data));
    BERTH_TRY(const ServeSettings settings, read_settings(data, flags));
    return serve(data, settings);
  }();
  return result ? kDone : report(result.error());
}

}  // namespace

void add_serve(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* serve =
      app.add_subcommand("serve", "Run the server, its gateway and this machine's worker");
  auto flags = std::make_shared<ServeFlags>();
  serve->add_option("--listen", flags->listen,
                    "Address and port of the API (BERTH_LISTEN; 127.0.0.1:8080)");
  serve->add_option("--cluster-listen", flags->cluster_listen,
                    "Address and port for workers of other machines (0.0.0.0:8443)");
  serve->add_option("--config", flags->config, "Settings file (berth.yaml in the data folder)");
  serve->add_flag("--insecure-http", flags->insecure_http,
                  "Allow plain HTTP on an address that others can reach");
  serve->add_flag("--no-worker", flags->no_worker, "Do not use this machine's devices");
  serve->add_flag("--leave-engines", flags->leave_engines, "Engines go on when the server ends");
  serve->add_option("--allow-env", flags->allow_env,
                    "A variable that deployments may set although it could run other code, such "
                    "as LD_PRELOAD; may be repeated");
  serve->add_option("--log-level", flags->log_level, "trace, debug, info, warn or error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error"}));
  serve->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
