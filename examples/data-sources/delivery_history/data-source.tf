# What happened to one deployment in the last 30 days.
data "delivery_history" "production" {
  pipeline    = "shop"
  environment = "production"
  deployment  = "api"
  since       = "720h"
}

# Whether the newest release has run in staging.
data "delivery_history" "staging" {
  pipeline    = "shop"
  environment = "staging"
  limit       = 10
}

output "last_deployment" {
  value = try(data.delivery_history.production.entries[0].outcome, "never deployed")
}

output "proven_in_staging" {
  value = distinct([
    for entry in data.delivery_history.staging.entries : entry.release_id if entry.outcome == "succeeded" && entry.kind != "remove"
  ])
}
