terraform {
  required_version = ">= 1.11"
  required_providers {
    delivery = {
      source = "tfdelivery/delivery"
    }
  }
}

variable "deploy_key" {
  description = "Private key for the hosts."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "git_token" {
  description = "Token for the Git server."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "registry_password" {
  description = "Password for the OCI registry."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "npm_token" {
  description = "Token for the tests' package registry."
  type        = string
  ephemeral   = true
  sensitive   = true
}

provider "delivery" {
  # Releases are kept here; without it, in the directory .delivery/store.
  store = "registry.acme.io/shop"

  registry {
    host     = "registry.acme.io"
    username = "ci"
    password = var.registry_password
  }

  git {
    host  = "git.acme.io"
    token = var.git_token
  }

  ssh {
    user             = "deploy"
    private_key      = var.deploy_key
    known_hosts_file = "known_hosts"
    bastion {
      host = "bastion.acme.io"
    }
  }

  # Stages ask for these by name.
  secrets = {
    NPM_TOKEN = var.npm_token
  }
}
