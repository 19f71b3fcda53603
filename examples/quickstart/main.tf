# An application from a Git repository, tested, built and running on the machine
# where Terraform runs.

terraform {
  required_version = ">= 1.11"
  required_providers {
    delivery = {
      source = "tfdelivery/delivery"
    }
  }
}

variable "repository" {
  description = "Git repository with the application: a URL or a path."
  type        = string
}

variable "path" {
  description = "Directory that the application is deployed to."
  type        = string
}

variable "port" {
  description = "Port that the application answers at."
  type        = number
  default     = 8080
}

provider "delivery" {} # releases are kept in .delivery/store

resource "delivery_pipeline" "hello" {
  name = "hello"

  source {
    git {
      url = var.repository
    }
  }

  stage {
    name     = "test"
    commands = ["go run gotest.tools/gotestsum@v1.13.0 --junitfile report.xml ./..."]
    timeout  = "5m"
    reports {
      junit = ["report.xml"]
    }
  }

  stage {
    name                  = "build"
    commands              = ["go build -trimpath -buildvcs=false -o hello ."]
    environment_variables = { CGO_ENABLED = "0" }
    artifacts             = ["hello"]
  }

  artifact {
    include = ["hello"]
  }
}

resource "delivery_release" "hello" {
  pipeline = delivery_pipeline.hello.json
  ref      = "main"
}

resource "delivery_deployment" "hello" {
  name        = "hello"
  environment = "demo"
  release_id  = delivery_release.hello.id

  local {
    path = var.path
    service {
      command = "./hello -listen 127.0.0.1:${var.port}"
    }
  }

  health_check {
    interval         = "200ms"
    healthy_deadline = "15s"
    http {
      port = var.port
      path = "/healthz"
    }
  }
}

output "running" {
  description = "The release that runs."
  value       = delivery_deployment.hello.running_release_id
}

output "tests" {
  description = "What the release's tests said."
  value       = "${delivery_release.hello.checks["test"].tests} run, ${delivery_release.hello.checks["test"].failures} failed"
}

output "url" {
  value = "http://127.0.0.1:${var.port}/"
}
