# What runs is adopted as the configuration says where it is.
terraform import delivery_deployment.api production/api

# Or say where it is, so that the plan can show a difference at once.
terraform import delivery_deployment.api '{"environment":"production","name":"api","ssh":{"hosts":{"app-1":"10.0.1.11"},"path":"/srv/api"}}'
