// The way to the hubs: what a repository holds, and how a file of it is read.
#pragma once

#include "sources/hub/listing.h"
#include "sources/hub/settings.h"

namespace berth::sources {

// Lists the repository at the name's revision (else the hub's default), whatever file or
// quantisation the name asks for. Blocks; thread-safe. The commit is asked for first and the list
// is that commit's, so that a repository which changes meanwhile gives no mixture.
//
// Errors, all with field "source" where the name is at fault: not_found (no such repository,
// revision or tag), unauthenticated and permission_denied (private or gated: says where to accept
// the terms and which variable takes the token), unavailable (offline by HF_HUB_OFFLINE; in
// trouble, or too many requests, after several attempts), timeout, cancelled, corrupt (a list that
// names files outside of the repository, files twice, or breaks its form), too_large; and those of
// HttpClient::get.
Result<HubListing> list_repository(const HubName& name, const HubSettings& settings);

// The settings with the end of all that is asked: `http.total` from now, where it had none.
HubSettings with_end(HubSettings settings);

// What a client needs to read the files of this repository: time, retries, the token of the hub
// and the words for its refusals. `HubFile::url` is read with these.
HttpOptions http_options_for(const HubName& name, const HubSettings& settings);

}  // namespace berth::sources
