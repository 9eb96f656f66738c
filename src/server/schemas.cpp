#include "server/schemas.h"

#include "base/schema.h"
#include "model/deployment.h"
#include "server/settings.h"

namespace berth::server {

json::object deployment_schema() {
  return schema_document<model::Deployment>("urn:berth:schema:deployment", "Deployment of Berth",
                                            SchemaUse::input);
}

json::object settings_schema() {
  return schema_document<ServeSettings>("urn:berth:schema:settings", "Settings of berth serve",
                                        SchemaUse::input);
}

}  // namespace berth::server
