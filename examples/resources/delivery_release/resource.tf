resource "delivery_release" "shop" {
  pipeline = delivery_pipeline.shop.json
  ref      = "main"
}
