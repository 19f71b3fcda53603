resource "delivery_pipeline" "shop" {
  name = "shop"

  source {
    git {
      url = "https://git.acme.io/shop.git"
    }
  }

  stage {
    name     = "test"
    commands = ["python3 -m pytest --junitxml=report.xml"]
    timeout  = "10m"
    reports {
      junit = ["report.xml"]
    }
  }

  stage {
    name      = "assets"
    commands  = ["npm ci", "npm run build"]
    secrets   = ["NPM_TOKEN"]
    artifacts = ["static/**"]
  }

  artifact {
    include = ["**"]
    exclude = ["tests/**", "node_modules/**"]
  }
}
