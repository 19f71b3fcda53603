variable "repository" {
  description = "Git repository with the application: a URL or a path."
  type        = string
}

variable "ref" {
  description = "Branch, tag or commit to release."
  type        = string
  default     = "main"
}

variable "environment" {
  description = "Environment that is deployed to."
  type        = string
  default     = "production"
}

variable "hosts" {
  description = "Addresses of the hosts, by name; with a port unless it is 22."
  type        = map(string)
}

variable "user" {
  description = "Login on the hosts. It needs to own /srv/guestbook, or be able to make it."
  type        = string
  default     = "deploy"
}

variable "private_key" {
  description = "Private key of that login. It is ephemeral: neither state nor plan holds it."
  type        = string
  sensitive   = true
  ephemeral   = true
}

variable "known_hosts_file" {
  description = "File with the hosts' public keys, as ssh-keyscan prints them; compare them with the hosts' own first."
  type        = string
  default     = "known_hosts"
}

variable "listen" {
  description = "Address on each host that the application listens at."
  type        = string
  default     = "0.0.0.0"
}

variable "port" {
  description = "Port that it listens at."
  type        = number
  default     = 8000
}

variable "greeting" {
  description = "How visitors are greeted. Changing it is rolled out like a release, with the same care."
  type        = string
  default     = "Welcome"
}

variable "min_healthy_time" {
  description = "How long a host must stay healthy before the next one is touched."
  type        = string
  default     = "5s"
}

variable "healthy_deadline" {
  description = "How long a host may take to become healthy, before the version is reverted."
  type        = string
  default     = "30s"
}

variable "python" {
  description = "Python 3, here for the tests and on the hosts."
  type        = string
  default     = "python3"
}

variable "venv_options" {
  description = "Options of python -m venv, such as --system-site-packages where hosts have no package index."
  type        = string
  default     = ""
}
