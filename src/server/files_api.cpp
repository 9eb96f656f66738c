#include "server/files_api.h"

#include "base/schema.h"
#include "server/file_wishes.h"
#include "server/views.h"

namespace berth::server {
namespace {

std::optional<std::string> worker_of(const ApiRequest& request) {
  const auto worker = request.head.query.get("worker");
  return worker ? std::optional<std::string>(*worker) : std::nullopt;
}

Result<net::Response> list_files(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto sets, look_at_files(context, worker_of(request)));
  json::array items;
  for (const auto& set : sets) items.push_back(to_json(set.view));
  return net::json_response(200, {{"items", items}});
}

// Files that a worker is to have.
struct FilesAsked {
  std::string worker;
  std::string source;
  std::string commit;
  std::vector<std::string> files;
  Bytes size;
  std::string asked_at;  // when
};
BOOST_DESCRIBE_STRUCT(FilesAsked, (), (worker, source, commit, files, size, asked_at))

Result<net::Response> fetch(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish, read_body<FileWish>(request));
  BERTH_TRY(const auto requests, want_files(context, wish));
  json::array items;
  for (const auto& one : requests) {
    FilesAsked asked{.worker = one.worker,
                     .source = one.files.source,
                     .commit = one.files.commit,
                     .files = {},
                     .size = model::total_size(one.files),
                     .asked_at = one.at};
    for (const auto& file : one.files.files) asked.files.push_back(file.path);
    items.push_back(to_json(asked));
  }
  return net::json_response(202, {{"items", items}});
}

struct FilesPatch {
  std::optional<std::string> worker;
  bool paused = true;
};
BOOST_DESCRIBE_STRUCT(FilesPatch, (), (worker, paused))
constexpr FieldInfo kFilesPatchFields[] = {
    {.name = "worker", .text = "on this worker only"},
    {.name = "paused", .text = "whether the download waits", .required = true}};
constexpr std::span<const FieldInfo> field_table(const FilesPatch*) { return kFilesPatchFields; }

struct FilesPaused {
  std::string source;
  bool paused = true;
  std::uint64_t workers = 0;  // on how many
};
BOOST_DESCRIBE_STRUCT(FilesPaused, (), (source, paused, workers))

Result<net::Response> patch(ServerContext& context, const ApiRequest& request) {
  const std::string source = request.param("source");
  BERTH_TRY(const auto wish, read_body<FilesPatch>(request));
  BERTH_TRY(const auto workers, pause_files(context, source, wish.worker, wish.paused));
  return net::json_response(
      202, to_json(FilesPaused{.source = source, .paused = wish.paused, .workers = workers}));
}

struct FilesRemoved {
  std::string source;
  Bytes freed;
};
BOOST_DESCRIBE_STRUCT(FilesRemoved, (), (source, freed))

Result<net::Response> remove(ServerContext& context, const ApiRequest& request) {
  const std::string source = request.param("source");
  BERTH_TRY(const Bytes freed, remove_files(context, source, worker_of(request)));
  return net::json_response(200, to_json(FilesRemoved{.source = source, .freed = freed}));
}

Result<net::Response> prune(ServerContext& context, const ApiRequest& request) {
  PruneWish wish;
  if (!request.body.is_null()) {
    BERTH_TRY(wish, read_body<PruneWish>(request));
  }
  BERTH_TRY(const auto pruned, prune_files(context, wish));
  return net::json_response(200, to_json(pruned));
}

}  // namespace

void add_files_routes(net::Router& router, ServerContext& context) {
  const auto add = [&](std::string_view method, std::string_view pattern, ApiHandler handler,
                       net::RouteDoc doc) {
    doc.tag = "files";
    add_route(router, context, RouteAccess::admin, method, pattern, std::move(handler),
              std::move(doc), RoutePool::files);
  };
  const net::QueryDoc on_worker{"worker", "on this worker only"};
  add("GET", "/api/v1/files", list_files,
      {.summary = "The files of models on hubs that are on the workers, or on their way",
       .query = {on_worker},
       .response = list_of(net::body<FileView>())});
  add("POST", "/api/v1/files", fetch,
      {.summary = "Fetch a model's files to a worker, and keep them there",
       .request = net::body<FileWish>(SchemaUse::input),
       .status = 202,
       .response = list_of(net::body<FilesAsked>())});
  add("PATCH", "/api/v1/files/{source}", patch,
      {.summary = "Let a download wait, or go on",
       .request = net::body<FilesPatch>(SchemaUse::input),
       .status = 202,
       .response = net::body<FilesPaused>()});
  add("DELETE", "/api/v1/files/{source}", remove,
      {.summary = "Cancel a download, or remove files that nothing needs",
       .query = {on_worker},
       .response = net::body<FilesRemoved>()});
  add("POST", "/api/v1/prune/files", prune,
      {.summary = "Remove files that no model uses",
       .request = net::body<PruneWish>(SchemaUse::input),
       .response = net::body<Pruned>(),
       .request_optional = true});
}

}  // namespace berth::server
