data "delivery_deployers" "all" {}

output "deployers" {
  description = "Which deployers are here, and what they can do."
  value       = data.delivery_deployers.all.deployers
}
