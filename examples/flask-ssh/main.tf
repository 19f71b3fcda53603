# A Flask application from a Git repository, tested by pytest, on three hosts
# over SSH: one host after the other, and back to the old version when the new
# one is not healthy.

terraform {
  required_version = ">= 1.11"
  required_providers {
    delivery = {
      source = "tfdelivery/delivery"
    }
  }
}

provider "delivery" {
  ssh {
    user             = var.user
    private_key      = var.private_key
    known_hosts_file = var.known_hosts_file
  }
}

resource "delivery_pipeline" "guestbook" {
  name = "guestbook"

  source {
    git {
      url = var.repository
    }
  }

  stage {
    name     = "test"
    commands = ["${var.python} -m pytest --junitxml=report.xml"]
    timeout  = "5m"
    reports {
      junit = ["report.xml"]
    }
  }

  artifact {
    exclude = ["tests/**", "pytest.ini"]
  }
}

resource "delivery_release" "guestbook" {
  pipeline = delivery_pipeline.guestbook.json
  ref      = var.ref
}

resource "delivery_deployment" "guestbook" {
  name        = "guestbook"
  environment = var.environment
  release_id  = delivery_release.guestbook.id

  ssh {
    hosts  = var.hosts
    path   = "/srv/guestbook"
    shared = ["book"] # signatures outlive releases
    install = [
      "${var.python} -m venv ${var.venv_options} .venv",
      ".venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.txt",
    ]
    service {
      command = ".venv/bin/python -m gunicorn --bind ${var.listen}:${var.port} --workers 2 app:app"
    }
  }

  environment_variables = {
    GREETING         = var.greeting
    PYTHONUNBUFFERED = "1"
  }

  strategy {
    rolling {
      max_parallel     = 1
      min_healthy_time = var.min_healthy_time
    }
  }

  health_check {
    interval         = "500ms"
    healthy_deadline = var.healthy_deadline
    http {
      port = var.port
      path = "/healthz"
    }
  }
}

output "instances" {
  description = "What runs where."
  value       = { for name, instance in delivery_deployment.guestbook.instances : name => instance.release }
}

output "tests" {
  description = "What the release's tests said."
  value       = delivery_release.guestbook.checks["test"]
}
