# The newest release of a pipeline, made by another configuration.
data "delivery_release" "newest" {
  pipeline = "shop"
}

# A certain one.
data "delivery_release" "known_good" {
  pipeline = "shop"
  version  = "1.4.0"
}
