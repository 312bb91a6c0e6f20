// What `azd up` deploys: each parameter by `azd env set`, in the name that stands here (README.md).
using 'main.bicep'

param environmentName = readEnvironmentVariable('AZURE_ENV_NAME', 'registry')
param location = readEnvironmentVariable('AZURE_LOCATION', 'westeurope')
param shape = readEnvironmentVariable('DEPLOY_SHAPE', 'functions')
param access = readEnvironmentVariable('DEPLOY_ACCESS', 'public')
param registryName = readEnvironmentVariable('REGISTRY_NAME', 'registry')
param settings = json(readEnvironmentVariable('DEPLOY_SETTINGS', '{}'))
param domains = json(readEnvironmentVariable('DEPLOY_DOMAINS', '[]'))

// Unless others are named, whoever deploys.
var operatorNames = readEnvironmentVariable('DEPLOY_OPERATORS', readEnvironmentVariable('AZURE_PRINCIPAL_ID', ''))
param operators = filter(map(split(operatorNames, ','), operator => trim(operator)), operator => !empty(operator))

param bodyLimitMiB = int(readEnvironmentVariable('DEPLOY_BODY_LIMIT_MIB', '64'))
param concurrentRequests = int(readEnvironmentVariable('DEPLOY_CONCURRENT_REQUESTS', '4'))
param instanceMemoryMB = any(int(readEnvironmentVariable('DEPLOY_INSTANCE_MEMORY_MB', '2048')))
param acceptMemoryRisk = bool(readEnvironmentVariable('DEPLOY_ACCEPT_MEMORY_RISK', 'false'))
param alwaysReady = int(readEnvironmentVariable('DEPLOY_ALWAYS_READY', '0'))
param maximumInstances = int(readEnvironmentVariable('DEPLOY_MAXIMUM_INSTANCES', '100'))

param image = readEnvironmentVariable('DEPLOY_IMAGE', '')
param imageIdentity = readEnvironmentVariable('DEPLOY_IMAGE_IDENTITY', '')
param imageUser = readEnvironmentVariable('DEPLOY_IMAGE_USER', '')
param imageUserVault = readEnvironmentVariable('DEPLOY_IMAGE_USER_VAULT', '')
param minReplicas = int(readEnvironmentVariable('DEPLOY_MIN_REPLICAS', '2'))
param maxReplicas = int(readEnvironmentVariable('DEPLOY_MAX_REPLICAS', '10'))
param requestMinutes = int(readEnvironmentVariable('DEPLOY_REQUEST_MINUTES', '4'))
param trustedProxies = readEnvironmentVariable('DEPLOY_TRUSTED_PROXIES', '')

param addressSpace = readEnvironmentVariable('DEPLOY_ADDRESS_SPACE', '')
param subnets = json(readEnvironmentVariable('DEPLOY_SUBNETS', 'null'))
param zonesGroup = readEnvironmentVariable('DEPLOY_ZONES_GROUP', '')
param privateLogs = bool(readEnvironmentVariable('DEPLOY_PRIVATE_LOGS', 'false'))

param storageSku = readEnvironmentVariable('DEPLOY_STORAGE_SKU', 'Standard_ZRS')
param storageSoftDeleteDays = int(readEnvironmentVariable('DEPLOY_STORAGE_SOFT_DELETE_DAYS', '7'))
param logDays = int(readEnvironmentVariable('DEPLOY_LOG_DAYS', '30'))
param recoverVault = bool(readEnvironmentVariable('DEPLOY_RECOVER_VAULT', 'false'))
