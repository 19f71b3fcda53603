variable "db_url" {
  description = "Where the database is, with its password."
  type        = string
  ephemeral   = true
  sensitive   = true
}

resource "delivery_deployment" "api" {
  name        = "api"
  environment = "production"
  release_id  = delivery_release.shop.id

  ssh {
    hosts = {
      app-1 = "10.0.1.11"
      app-2 = "10.0.1.12"
      app-3 = "10.0.1.13:2222"
    }
    path    = "/srv/api"
    install = ["python3 -m venv .venv", ".venv/bin/pip install -r requirements.txt"]
    shared  = ["uploads"]
    service {
      command = ".venv/bin/gunicorn app:app -b 127.0.0.1:8000"
    }
  }

  environment_variables = {
    FLASK_ENV = "production"
  }
  secrets_wo = {
    DB_URL = var.db_url
  }
  secrets_wo_version = 1

  strategy {
    rolling {
      max_parallel     = 1
      min_healthy_time = "10s"
    }
  }

  health_check {
    healthy_deadline = "2m"
    http {
      port = 8000
      path = "/healthz"
    }
  }
}
